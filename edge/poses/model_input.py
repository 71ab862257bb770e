"""Makes a model's input tensor from a camera image.

Runs on the camera's thread.
"""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import BufferPool, Frame, Image
from edge.poses.letterbox import Letterbox, fit

__all__ = ["InputMaker", "ModelInput", "encode_into", "letterbox_into", "rotate_into"]

ROTATIONS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
"""OpenCV's constants by clockwise degrees."""


def letterbox_into(image: Image, box: Letterbox, out: NDArray[np.uint8]) -> None:
    """Scale an RGB image into `out`, with black padding.

    Shrinking averages all pixels (INTER_AREA): bilinear interpolation would skip the limbs of a person ten pixels
    high, and the rest would flicker from frame to frame.

    Args:
        image: RGB uint8 (H, W, 3).
        box: where it goes.
        out: uint8 (1, input height, input width, 3).
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
    shrinks = width < image.shape[1] or height < image.shape[0]
    cv2.resize(image, (width, height), dst=inside, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


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

    def make(self, frame: Frame) -> ModelInput:
        """Letterbox one frame; the frame size may change between calls."""
        box = self._letterbox
        if box is None or box.image_size != frame.size:
            box = self._letterbox = fit(frame.size, self._input_size)
        tensor = self._tensors.take(self._shape)
        if self._pixels is None or self._codes is None:
            letterbox_into(frame.image, box, tensor)
        else:
            letterbox_into(frame.image, box, self._pixels)
            encode_into(self._pixels, self._codes, tensor)
        return ModelInput(frame, tensor, box)
