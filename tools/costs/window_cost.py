"""Measures the processor time of the window per frame, by step.

Under a desktop, or `xvfb-run`.

python -m tools.costs.window_cost [--frames N] [--size WxH]
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edge.camera.scene import SceneCamera
from edge.output.window.panel import Panel
from edge.output.window.picture import paint
from edge.output.window.screen import PygameScreen
from edge.payload import Origin, status_message
from edge.ports import PoseFrame
from edge.poses.pose import Pose
from tools.command_line import Parser, run

ORIGIN = Origin(device="hall", run="cost", camera="front", model="none")


def main() -> None:
    """Show frames of the scene, and print each step's median in ms."""
    options = _options()
    width, height = (int(side) for side in options.size.split("x"))
    camera = SceneCamera(size=(width, height), paced=False)
    camera.open()
    screen = PygameScreen()
    screen.open("cost", lambda: None)
    panel = Panel(ORIGIN, private=False)
    panel.status(status_message("online", "", ORIGIN, 0.0, 0.0))
    rows = [_one(camera, screen, panel) for _ in range(options.frames)]
    screen.close()
    medians = np.median(np.array(rows[5:]), axis=0)  # the first ones make what is kept
    for name, ms in zip(("paint", "show", "events", "all"), [*medians, medians.sum()], strict=True):
        print(f"{name:8}{ms:6.2f} ms of processor time per frame of {width}x{height}")


def _one(camera: SceneCamera, screen: PygameScreen, panel: Panel) -> list[float]:
    frame = camera.read()
    assert frame is not None
    people = camera.truth(frame.index)
    result = PoseFrame(frame, tuple(Pose(one.keypoints, one.box_xyxy, 0.8, one.id) for one in people), 10.0)
    panel.result(result, time.monotonic())
    panel.shown(0.04)
    content = panel.text(time.monotonic())
    canvas = screen.canvas(frame.size)
    return [
        _ms(lambda: paint(result, canvas, private=False, dimmed=False)),
        _ms(lambda: screen.show(content)),
        _ms(screen.actions),
    ]


def _ms(step: Callable[[], Any]) -> float:
    start_s = time.thread_time()
    step()
    return (time.thread_time() - start_s) * 1e3


def _options() -> argparse.Namespace:
    parser = Parser("costs.window_cost", __doc__)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--size", default="1280x720")
    return parser.parse_args()


if __name__ == "__main__":
    run("window_cost", main)
