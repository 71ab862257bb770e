"""The only importer of picamera2 and libcamera."""

import contextlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from libcamera import ColorSpace, Transform
from picamera2 import MappedArray, Picamera2

__all__ = ["Picamera2Library"]


class Picamera2Library:
    """Implements `edge.camera.pi.stream.Library` with picamera2."""

    def cameras(self) -> Sequence[dict[str, Any]]:
        """Return facts on each connected camera, such as its `Model`."""
        found: list[dict[str, Any]] = Picamera2.global_camera_info()
        return found

    def open(self, number: int) -> Any:
        """Return the `Picamera2` of a camera, acquired by this process."""
        camera: Any = Picamera2.__new__(Picamera2)
        try:
            camera.__init__(number)
        except BaseException:
            # A constructor that fails (a camera in use) leaves a pipe open, and retries for a lost camera never end.
            with contextlib.suppress(AttributeError, OSError):
                camera.notifymeread.close()
                os.close(camera.notifyme_w)
            raise
        return camera

    def transform(self, *, hflip: bool, vflip: bool) -> Any:
        """Return the sensor's mirroring."""
        return Transform(hflip=hflip, vflip=vflip)

    def colour_space(self) -> Any:
        """Return the colour space of OpenCV's conversions: BT.601, limited range."""
        return ColorSpace.Smpte170m()

    def mapped(self, request: Any, stream: str) -> AbstractContextManager[Any]:
        """Return a context whose `array` is a stream's buffer (n,), not a copy.

        Read it only inside the context.
        """
        mapping: AbstractContextManager[Any] = MappedArray(request, stream, reshape=False, write=False)
        return mapping

    def takes_small_rgb(self) -> bool:
        """Return whether the low-resolution stream may be RGB: only on a Pi 5."""
        return getattr(Picamera2.platform, "name", "") == "PISP"
