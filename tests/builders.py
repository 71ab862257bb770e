"""Small builders for tests, with lopsided values: a swapped axis or side shows."""

import threading
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.frame import Frame, Image
from edge.payload import Origin
from edge.ports import ModelSpec, PoseFrame
from edge.poses.letterbox import Letterbox
from edge.poses.pose import Pose

ORIGIN = Origin(device="hall", run="k3f9", camera="front", model="movenet-multipose-lightning-f16")

STANDING_XY = np.array(
    [(0.50, 0.06), (0.54, 0.03), (0.47, 0.04), (0.60, 0.06), (0.42, 0.07), (0.72, 0.22), (0.30, 0.23), (0.83, 0.40),
     (0.20, 0.41), (0.86, 0.55), (0.12, 0.52), (0.64, 0.54), (0.38, 0.55), (0.68, 0.76), (0.35, 0.77), (0.70, 0.97),
     (0.31, 0.98)],
    np.float32,
)  # fmt: skip
"""A standing person that faces the camera, in the unit square of their box: the person's left is at larger x."""


def image(width: int = 64, height: int = 36, fill: int = 90) -> Image:
    return np.full((height, width, 3), fill, np.uint8)


def frame(index: int = 0, time_s: float = 100.0, width: int = 64, height: int = 36) -> Frame:
    return Frame(image(width, height), index, time_s, 1_769_860_800.123 + time_s - 100.0, time_s)


def pose(
    x: float = 0.3,
    y: float = 0.2,
    width: float = 0.15,
    height: float = 0.6,
    *,
    score: float = 0.8,
    keypoint_score: float | NDArray[Any] = 0.7,
    track_id: int | None = None,
) -> Pose:
    """A standing person whose box has its top left corner at (x, y)."""
    keypoints = np.empty((17, 3), np.float32)
    keypoints[:, :2] = STANDING_XY * (width, height) + (x, y)
    keypoints[:, 2] = keypoint_score
    box = np.clip(np.array([x, y, x + width, y + height], np.float32), 0, 1)
    return Pose(keypoints, box, score, track_id)


def result(*poses: Pose, index: int = 0, time_s: float = 100.0) -> PoseFrame:
    return PoseFrame(frame(index, time_s), poses, 12.5)


def ramp() -> NDArray[np.uint8]:
    """A model's input of 64x32 (width x height) with all values in it."""
    return (np.arange(32 * 64 * 3) % 251).astype(np.uint8).reshape(1, 32, 64, 3)


class ScriptedCamera:
    """A live camera that does what a list says: a frame, or an error that `open` or `read` raises.

    Args:
        script: for each read a Frame, an error to raise, or None for the end; an error list for opens.
        failing_opens: errors that the first calls of `open` raise.
    """

    name = "scripted"
    live = True

    def __init__(self, script: list[Frame | Exception | None], failing_opens: Sequence[Exception] = ()) -> None:
        self._script = list(script)
        self._failing_opens = list(failing_opens)
        self.back = threading.Event()  # set: the device is there again
        self.opened = 0
        self.closed = 0

    def open(self) -> None:
        self.opened += 1
        if self._failing_opens:
            raise self._failing_opens.pop(0)

    @property
    def size(self) -> tuple[int, int]:
        return (64, 36)

    def read(self) -> Frame | None:
        item = self._script.pop(0) if self._script else None
        if isinstance(item, Exception):
            raise item
        return item

    def interrupt(self) -> None:
        self._script.clear()

    def is_back(self) -> bool:
        return self.back.is_set()

    def close(self) -> None:
        self.closed += 1


class ScriptedEngine:
    """An engine on a 64x32 input that finds one more person with every inference; the second repeats the first."""

    spec = ModelSpec("scripted", "multipose", (64, 32), "uint8")

    def __init__(self) -> None:
        self.runs = 0
        self.level = 0

    @property
    def choices(self) -> tuple[tuple[int, int], ...]:
        return (self.spec.input_size,)

    def size_for(self, image_size: tuple[int, int]) -> ModelSpec:  # noqa: ARG002 - its size is fixed
        return self.spec

    def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        assert tensor.shape == (1, 32, 64, 3)
        rows = np.zeros((1, 6, 56), np.float32)
        self.runs += 1
        for at in range(min(self.runs, 6)):
            keypoints = pose(x=0.15 * max(at - 1, 0), width=0.1).keypoints
            rows[0, at, :51] = keypoints[:, [1, 0, 2]].ravel()
            rows[0, at, 51:] = (0.2, 0.15 * max(at - 1, 0), 0.8, 0.15 * max(at - 1, 0) + 0.1, 0.9)
        return (rows,)

    def retire(self) -> None:
        pass

    def close(self) -> None:
        pass


class ListSink:
    """Keeps what it is given; `gate`, if any, is waited for before each write."""

    name = "list"
    wants_image = False

    def __init__(self, *, lossless: bool = False, gate: threading.Event | None = None) -> None:
        self.blocks: Literal[True] = True
        self.lossless = lossless
        self.results: list[PoseFrame] = []
        self.opened = self.closed = False
        self._gate = gate

    def open(self) -> None:
        self.opened = True

    def write(self, result: PoseFrame) -> None:
        if self._gate is not None:
            assert self._gate.wait(5)
        self.results.append(result)

    def close(self) -> None:
        self.closed = True


def to_input(box: Letterbox, points: NDArray[Any]) -> NDArray[np.float32]:
    """Map x, y (..., 2) normalized to the camera image to the model's input: the inverse of `Letterbox.to_image`."""
    size = np.asarray(box.input_size, np.float32)
    scale, offset = np.asarray(box.inner_size, np.float32) / size, np.asarray(box.pad_px, np.float32) / size
    return np.asarray(points * scale + offset, np.float32)
