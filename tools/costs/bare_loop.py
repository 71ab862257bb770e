"""The simplest loop over a stream: read, resize, invoke, print a line.

    python -m tools.costs.bare_loop URL MODEL HEIGHTxWIDTH THREADS

Started by `tools.costs.change_to_line`, as what the agent is compared with. It does not decode: a line says which of
the camera's two pictures it is of.
"""

import json
import sys

import cv2

from edge.tflite.runtime import Interpreter
from tools.command_line import parse_size
from tools.costs.mjpeg_camera import MARK_PX

__all__ = ["main"]


def main(url: str, model: str, size: str, threads: str) -> None:
    """Print `{"poses": []}` or `{"poses": [1]}` for every frame until the stream ends."""
    width, height = parse_size(size)
    interpreter = Interpreter(model_path=model, num_threads=int(threads))
    source = interpreter.get_input_details()[0]
    if list(source["shape"]) != [1, height, width, 3]:
        interpreter.resize_tensor_input(source["index"], [1, height, width, 3])
    interpreter.allocate_tensors()
    outputs = [output["index"] for output in interpreter.get_output_details()]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG)
    while (read := capture.read())[0]:
        image = read[1]
        rgb = cv2.cvtColor(cv2.resize(image, (width, height)), cv2.COLOR_BGR2RGB)
        interpreter.set_tensor(source["index"], rgb[None].astype(source["dtype"], copy=False))
        interpreter.invoke()
        for output in outputs:
            interpreter.get_tensor(output)
        is_crowded = image[: MARK_PX // 2, : MARK_PX // 2].mean() > 127
        print(json.dumps({"poses": [1] if is_crowded else []}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
