"""Keeps the process alive when a display server hangs or dies."""

import ctypes
import os
import threading
import warnings
from collections.abc import Callable

import pygame

if not getattr(pygame, "IS_CE", False):  # as apt's python3-pygame, part of Raspberry Pi OS
    raise ImportError(f"pygame {pygame.version.ver} is another package, without KMSDRM")

__all__ = ["XServerWatch", "start_video"]

SDL_INIT_VIDEO = 0x20
DEFAULTS = {
    "SDL_NO_SIGNAL_HANDLERS": "1",  # the run handles SIGTERM and SIGINT
    "SDL_VIDEO_MINIMIZE_ON_FOCUS_LOSS": "0",  # a full screen stays when another one is clicked
}
"""SDL's settings, unless the environment says otherwise."""

_IoHandler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


def start_video() -> None:
    """Connect to the display server without holding Python's lock.

    pygame's own call holds it: while a server hangs, no signal would be handled and no frame be processed.

    Raises:
        pygame.error: SDL finds no screen.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    # A window manager may choose another size than the requested one, which needs no warning.
    warnings.filterwarnings("ignore", "Requested window was forcibly resized", RuntimeWarning)
    sdl = ctypes.CDLL(pygame.base.__file__)  # has the functions of pygame's own SDL
    sdl.SDL_InitSubSystem(SDL_INIT_VIDEO)
    pygame.display.init()  # connected already; or fails again, with the reason
    if pygame.display.get_driver() == "x11":
        # Through shared memory, not OpenGL: a tenth of the time and 100 MB less where Mesa has to draw in software.
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")


class XServerWatch:
    """Calls `on_lost` when the X server is gone, instead of ending the process.

    Xlib calls its handler on the thread that noticed, and ends the process when that returns (XSetIOErrorHandler(3)):
    so the thread waits there without end.
    """

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._handler = _IoHandler(self._lost)  # referenced here as long as Xlib may call it
        self._set(ctypes.cast(self._handler, ctypes.c_void_p))

    def close(self) -> None:
        """Remove the handler; call it once the window is closed."""
        self._set(None)

    def _lost(self, _display: int) -> int:
        self._on_lost()
        threading.Event().wait()  # for ever
        return 0

    def _set(self, handler: ctypes.c_void_p | None) -> None:
        function = ctypes.CDLL("libX11.so.6").XSetIOErrorHandler
        function.argtypes = [ctypes.c_void_p]
        function.restype = ctypes.c_void_p
        function(handler)
