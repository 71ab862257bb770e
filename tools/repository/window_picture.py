"""Makes the window's picture of docs/outputs.md, under Xvfb.

python -m tools.repository.window_picture tools/pictures/window.jpg [--seconds S]  (needs Debian's xvfb and imagemagick)
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.command_line import Parser, run

SCREEN = "1066x660x24"
MAX_BYTES = 120_000
RUN = ["run", "--camera", "scene", "--display", "--set", "device.name=hall", "--set", "camera.name=front",
       "--set", "model.size=256x448"]  # fmt: skip


def main() -> None:
    """Start a run with a window, and save a screenshot of it."""
    options = _options()
    with _x_server() as display, _run(display):
        time.sleep(options.seconds)
        png = subprocess.run(["import", "-display", display, "-window", "root", "png:-"], stdout=-1, check=True).stdout
    screen = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert screen is not None
    picture = _without_margins(screen)
    quality = _save(picture, options.file)
    print(f"{options.file}: {picture.shape[1]}x{picture.shape[0]}, quality {quality}")


@contextmanager
def _x_server() -> Iterator[str]:
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", SCREEN, "-nolisten", "tcp"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    try:
        yield f":{server.stdout.readline().strip()}"
    finally:
        server.terminate()
        server.communicate()


@contextmanager
def _run(display: str) -> Iterator[None]:
    run = subprocess.Popen([sys.executable, "-m", "edge", *RUN], env={**os.environ, "DISPLAY": display})
    try:
        yield
    finally:
        run.terminate()
        run.wait()


def _without_margins(screen: NDArray[Any]) -> NDArray[Any]:
    """Cut off the black around the window; (H, W, 3)."""
    rows, columns = np.nonzero(screen.max(axis=2) > 0)
    if not len(rows):
        sys.exit("there is no window on the screen")
    return screen[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _save(picture: NDArray[Any], path: Path) -> int:
    """Save as JPEG of at most MAX_BYTES; return its quality."""
    for quality in range(90, 10, -5):
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        if data.nbytes <= MAX_BYTES:
            path.write_bytes(data.tobytes())
            return quality
    sys.exit("the picture is too large")


def _options() -> argparse.Namespace:
    parser = Parser("repository.window_picture", __doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=11.0, help="of the run before the picture is taken")
    return parser.parse_args()


if __name__ == "__main__":
    run("window_picture", main)
