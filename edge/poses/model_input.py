"""Makes a model's input tensor from a camera image.

Runs on the flow's thread.
"""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import BufferPool, Frame, Image
from edge.poses.letterbox import Letterbox, fit

__all__ = ["InputMaker", "ModelInput", "Scaler", "encode_into", "letterbox_into", "rotate_into"]

ROTATIONS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
"""OpenCV's constants by clockwise degrees."""
MAX_BILINEAR = 1.6
"""Bilinear scaling beyond it skips too much: 0.3 to 1.5 AP at 256x448, from 640x480 (a ratio of 1.88)."""


class Scaler:
    """Scales images to one size; keeps its work buffers.

    While the image is at least twice too large, 2x2 pixels are averaged to one; the rest is bilinear. Bilinear alone
    would skip the limbs of a person ten pixels high, and the rest would flicker from frame to frame; averaging at a
    ratio that is no whole number is up to nine times as dear. It stays where more than a ratio of 1.6 is left, or an
    odd side cannot be halved.

    Args:
        size: (width, height) of the scaled images in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._image_size = size
        self._halves: list[Image] = []
        self._last = cv2.INTER_LINEAR

    def scale_into(self, image: Image, out: Image) -> None:
        """Scale an RGB image (H, W, 3) into `out`, which may be a view."""
        height, width, _ = image.shape
        if (width, height) != self._image_size:
            self._prepare(width, height)
        for half in self._halves:
            cv2.resize(image, (half.shape[1], half.shape[0]), dst=half, interpolation=cv2.INTER_AREA)
            image = half
        cv2.resize(image, self._size, dst=out, interpolation=self._last)

    def _prepare(self, width: int, height: int) -> None:
        self._image_size = (width, height)
        self._halves.clear()
        target_w, target_h = self._size
        while width % 2 == height % 2 == 0 and width >= 2 * target_w and height >= 2 * target_h:
            width, height = width // 2, height // 2
            self._halves.append(np.empty((height, width, 3), np.uint8))
        is_close = width <= MAX_BILINEAR * target_w and height <= MAX_BILINEAR * target_h
        self._last = cv2.INTER_LINEAR if is_close else cv2.INTER_AREA


def letterbox_into(image: Image, box: Letterbox, out: NDArray[np.uint8], scaler: Scaler | None = None) -> None:
    """Scale an RGB image into `out`, with black padding.

    Args:
        image: RGB uint8 (H, W, 3).
        box: where it goes.
        out: uint8 (1, input height, input width, 3).
        scaler: to the inner size, to reuse its buffers; None makes one.
    """
    width, height = box.inner_size
    left, top = box.pad_px
    plane = out[0]  # (input height, input width, 3)
    if box.inner_size != box.input_size:
        plane[:top] = 0
        plane[top + height :] = 0
        plane[:, :left] = 0
        plane[:, left + width :] = 0
    inside = plane[top : top + height, left : left + width]
    (scaler or Scaler(box.inner_size)).scale_into(image, inside)


def encode_into(pixels: NDArray[np.uint8], codes: NDArray[Any], out: NDArray[Any]) -> None:
    """Encode pixels by the table `codes`.

    Args:
        pixels: uint8, any shape.
        codes: (256,) of the model's dtype.
        out: of the model's dtype, shaped like `pixels`.
    """
    np.take(codes, pixels, out=out, mode="clip")


def rotate_into(image: Image, degrees: int, out: Image) -> None:
    """Rotate an RGB image clockwise by 90, 180 or 270 degrees into `out`."""
    cv2.rotate(image, ROTATIONS[degrees], dst=out)


@dataclass(frozen=True, slots=True)
class ModelInput:
    """A frame, its input tensor and its letterbox.

    Attributes:
        frame: the camera image with its times.
        tensor: (1, H, W, 3) in the model's dtype.
        letterbox: maps the model's coordinates to the image.
    """

    frame: Frame
    tensor: NDArray[Any]
    letterbox: Letterbox

    def without_image(self) -> "ModelInput":
        """Return the input without the image, which frees its buffer."""
        return replace(self, frame=self.frame.without_image())


class InputMaker:
    """Makes model inputs of one size and dtype from pooled buffers.

    Args:
        input_size: (width, height) of the model's input in pixels.
        dtype: NumPy name of the model's input dtype.
        codes: (256,) of `dtype`, the input code of each pixel value; None if the model takes pixel values.
    """

    def __init__(self, input_size: tuple[int, int], dtype: str, codes: NDArray[Any] | None) -> None:
        self._input_size = input_size
        self._codes = codes
        self._shape = (1, input_size[1], input_size[0], 3)
        self._tensors = BufferPool(dtype)
        self._pixels = np.empty(self._shape, np.uint8) if codes is not None else None
        self._letterbox: Letterbox | None = None
        self._scaler: Scaler | None = None

    def make(self, frame: Frame) -> ModelInput:
        """Letterbox one frame; the frame size may change between calls."""
        box = self._letterbox
        if box is None or box.image_size != frame.size:
            box = self._letterbox = fit(frame.size, self._input_size)
            self._scaler = Scaler(box.inner_size)
        tensor = self._tensors.take(self._shape)
        if self._pixels is None or self._codes is None:
            letterbox_into(frame.image, box, tensor, self._scaler)
        else:
            letterbox_into(frame.image, box, self._pixels, self._scaler)
            encode_into(self._pixels, self._codes, tensor)
        return ModelInput(frame, tensor, box)
