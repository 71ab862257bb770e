"""Runs in the Debian that has libcamera: the real picamera2, fitted to libcamera's virtual cameras.

Usage: pi_guest.py edge ARGUMENTS (the command), or pi_guest.py pytest ARGUMENTS.

picamera2 takes for granted what every Raspberry Pi has and a virtual camera has not: raw sensor modes, buffers in one
plane, and libraries for a screen and for raw photographs, of which nothing is called here.
"""

import sys
from types import ModuleType
from typing import Any

__all__ = ["fit"]


class Named(type):
    """Makes classes that have every attribute."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Named(name, (), {})


class Anything(ModuleType):
    """A module that is only imported from: it has every name, and all are empty classes."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Named(name, (), {})


def fit() -> None:
    """Make `picamera2.Picamera2` one that takes virtual cameras. Before the driver is imported."""
    for name in ("pykms", "prctl", "pidng", "pidng.core", "pidng.camdefs"):
        sys.modules[name] = Anything(name)
    import libcamera
    import picamera2
    from picamera2.allocators import LibcameraAllocator

    class VirtualPicamera2(picamera2.Picamera2):  # type: ignore[misc] # it has no types
        def __init__(self, number: int) -> None:
            super().__init__(number)
            self.allocator = LibcameraAllocator(self.camera)

        def _get_raw_modes(self) -> list[dict[str, Any]]:
            formats = self.camera.generate_configuration([libcamera.StreamRole.VideoRecording]).at(0).formats
            return [
                {"format": str(name), "size": (size.width, size.height)}
                for name in formats.pixel_formats
                for size in formats.sizes(name)
            ]

    picamera2.Picamera2 = VirtualPicamera2


def main(program: str, arguments: list[str]) -> int:
    from edge.camera.pi.imports import quiet_logging

    quiet_logging(debug="--debug" in arguments)
    fit()
    if program == "edge":
        from edge.cli import entry

        sys.argv = ["edge-pose", *arguments]
        entry()
    import pytest

    return int(pytest.main(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
