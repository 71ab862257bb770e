"""Makes the README's picture: a frame of the scene with its poses.

python -m tools.repository.picture tools/pictures/scene.jpg [--frame N] [--model FILE]
"""

import argparse
from pathlib import Path

import cv2

from edge.agent.pipeline import Flow
from edge.camera.scene import SceneCamera
from edge.engine.litert import LiteRtEngine
from edge.estimator import Estimator
from edge.poses.drawing import draw_poses
from edge.poses.smooth import Smoother
from edge.poses.track import Tracker
from tools.command_line import Parser, default_model, run

INPUT_SIZE = (448, 256)


def main() -> None:
    """Run the flow up to one frame and draw its poses."""
    options = _options()
    engine = LiteRtEngine(options.model, name=options.model.stem, threads=2, input_size=INPUT_SIZE)
    camera = SceneCamera(size=(1280, 720), paced=False)
    camera.open()
    flow = Flow(estimator=Estimator(engine), tracker=Tracker(), smoother=Smoother())
    while (frame := camera.read()) is not None:
        result = flow.step(frame)
        if frame.index == options.frame:
            break
    camera.close()
    image = result.frame.image.copy()
    draw_poses(image, result.poses)
    options.file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(options.file), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(f"{options.file}: frame {options.frame}, {len(result.poses)} people, model {engine.name}")


def _options() -> argparse.Namespace:
    parser = Parser("repository.picture", __doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--frame", type=int, default=60)
    parser.add_argument("--model", type=Path, default=default_model())
    options = parser.parse_args()
    if options.model is None:
        parser.error("the default model is not on this machine: give --model FILE")
    return options


if __name__ == "__main__":
    run("picture", main)
