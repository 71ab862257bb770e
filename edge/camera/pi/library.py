"""picamera2 and libcamera, as the driver `pi` uses them. Imported only where that driver is asked for."""

import contextlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from libcamera import ColorSpace, Transform
from picamera2 import MappedArray, Picamera2

__all__ = ["Picamera2Library"]


class Picamera2Library:
    """The vendor's part: what has to be imported from it."""

    def cameras(self) -> Sequence[dict[str, Any]]:
        """Return what is known of each camera that is connected, such as its `Model`."""
        found: list[dict[str, Any]] = Picamera2.global_camera_info()
        return found

    def open(self, number: int) -> Any:
        """Return the `Picamera2` of a camera, which now belongs to this process."""
        camera: Any = Picamera2.__new__(Picamera2)
        try:
            camera.__init__(number)
        except BaseException:
            # A constructor that fails (a camera in use) leaves a pipe open, and a lost camera is tried for ever.
            with contextlib.suppress(AttributeError, OSError):
                camera.notifymeread.close()
                os.close(camera.notifyme_w)
            raise
        return camera

    def transform(self, *, hflip: bool, vflip: bool) -> Any:
        """Return what the sensor is asked to do."""
        return Transform(hflip=hflip, vflip=vflip)

    def colour_space(self) -> Any:
        """Return the one that OpenCV's conversions are made for: BT.601, limited range."""
        return ColorSpace.Smpte170m()

    def mapped(self, request: Any, stream: str) -> AbstractContextManager[Any]:
        """Return a context whose `array` is a stream's buffer (n,) itself, uncopied: to be read only inside."""
        mapping: AbstractContextManager[Any] = MappedArray(request, stream, reshape=False, write=False)
        return mapping

    def takes_small_rgb(self) -> bool:
        """Return whether the low-resolution stream may be RGB: on a Pi 5, not on those before it."""
        return getattr(Picamera2.platform, "name", "") == "PISP"
