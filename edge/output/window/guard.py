"""What pygame leaves out: a display server that hangs or dies must cost the window only, not the process."""

import ctypes
import os
import threading
import warnings
from collections.abc import Callable

import pygame

if not getattr(pygame, "IS_CE", False):  # as apt's python3-pygame, which Raspberry Pi OS brings along
    raise ImportError(f"pygame {pygame.version.ver} is another package, without KMSDRM")

__all__ = ["XServerWatch", "start_video"]

SDL_INIT_VIDEO = 0x20
DEFAULTS = {
    "SDL_NO_SIGNAL_HANDLERS": "1",  # SIGTERM and SIGINT are the run's own
    "SDL_VIDEO_MINIMIZE_ON_FOCUS_LOSS": "0",  # a full screen stays when another one is clicked
}
"""SDL's settings, unless the environment says otherwise."""

_IoHandler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


def start_video() -> None:
    """Connect to the display server; whoever waits for a hanging one does so alone.

    pygame's own call holds Python's lock meanwhile: no signal would be handled and no frame go through.

    Raises:
        pygame.error: SDL finds nothing to show pictures on.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    # A window manager may give another size than was asked for, which is its right and no news.
    warnings.filterwarnings("ignore", "Requested window was forcibly resized", RuntimeWarning)
    sdl = ctypes.CDLL(pygame.base.__file__)  # finds the functions of the SDL that pygame brings along
    sdl.SDL_InitSubSystem(SDL_INIT_VIDEO)
    pygame.display.init()  # connected already; or fails again, and says why
    if pygame.display.get_driver() == "x11":
        # Through shared memory, not OpenGL: a tenth of the time and 100 MB less where Mesa has to draw in software.
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")


class XServerWatch:
    """Calls `on_lost` when the X server goes away, on the thread that finds out, which then never returns.

    Xlib ends the whole process otherwise (XSetIOErrorHandler(3)): its calls cannot go on without a server.
    """

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._handler = _IoHandler(self._lost)  # must live as long as Xlib knows it
        self._set(ctypes.cast(self._handler, ctypes.c_void_p))

    def close(self) -> None:
        """End the watch; to be called once the window is closed."""
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
