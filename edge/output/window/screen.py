"""The window by pygame (SDL): a picture, a bar below it, texts over both."""

import os
from collections.abc import Callable, Iterable

import numpy as np
import pygame

from edge.errors import UnavailableError
from edge.frame import Image
from edge.output.window.guard import XServerWatch, start_video
from edge.output.window.icon import make_icon
from edge.output.window.keys import Action, action_of
from edge.output.window.panel import PanelText
from edge.output.window.picture import Size, first_size, fit
from edge.output.window.text import Lettering, bar_px

__all__ = ["PygameScreen", "pending_events"]

EMPTY_SIZE = (960, 564)
"""Until the first picture has a size."""
NO_SCREENS = ("dummy", "offscreen")
"""SDL's drivers without a screen: it chooses `offscreen` by itself where there is none."""
MODIFIERS = pygame.KMOD_CTRL | pygame.KMOD_ALT | pygame.KMOD_META
REDRAW = (pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED, pygame.WINDOWRESTORED)

BLACK = (0, 0, 0)


def pending_events() -> list[pygame.event.Event]:
    """Return pending events; waits up to 1 ms, in which other threads run.

    `event.get` alone would hold Python's lock while it talks to the display server.
    """
    first = pygame.event.wait(1)
    return [first, *pygame.event.get(pump=False)]


class PygameScreen:
    """The window by pygame, implements `WindowScreen`.

    One thread opens, uses and closes it.

    Args:
        events: returns the pending events.
    """

    def __init__(self, events: Callable[[], Iterable[pygame.event.Event]] = pending_events) -> None:
        self._events = events
        self._watch: XServerWatch | None = None
        self._lettering = Lettering()
        self._canvas: Image = np.empty((0, 0, 3), np.uint8)
        self._canvas_surface = pygame.Surface((0, 0))
        self._image_size: Size | None = None
        self._is_full = False
        self._only_full = False
        self._windowed_size: Size = EMPTY_SIZE
        self._must_redraw = True

    def open(self, title: str, on_lost: Callable[[], None]) -> None:
        """Open the window, or the whole screen where there is no desktop.

        Args:
            title: of the window.
            on_lost: called when the X server is gone, on this thread, which never returns from it.

        Raises:
            UnavailableError: there is no screen, or it cannot be used.
        """
        try:
            start_video()
            self._refuse_no_screen()
            self._lettering.open()
            pygame.display.set_icon(make_icon())
            pygame.display.set_caption(title)
            driver = pygame.display.get_driver()
            self._watch = XServerWatch(on_lost) if driver == "x11" else None
            self._only_full = driver == "kmsdrm"
            self._set_mode(full=self._only_full)
        except pygame.error as error:
            self.close()
            raise _no_screen(str(error)) from error

    def close(self) -> None:
        """Close the window and disconnect; harmless when it is not open."""
        self._lettering.close()
        pygame.display.quit()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def actions(self) -> list[Action]:
        """Return the actions of keys and of the close button.

        Call it often, or the desktop takes the window for hung.
        """
        asked: list[Action | None] = []
        for event in self._events():
            if event.type == pygame.QUIT:
                asked.append("quit")
            elif event.type == pygame.KEYDOWN and not event.mod & MODIFIERS:
                asked.append(action_of(pygame.key.name(event.key)))
            elif event.type in REDRAW:
                self._must_redraw = True
        return [action for action in asked if action is not None]

    @property
    def must_redraw(self) -> bool:
        """Whether the window has lost what it showed, or changed its size."""
        return self._must_redraw

    def canvas(self, image_size: Size) -> Image:
        """Return the canvas for an image of `image_size`, with its last content.

        The first image decides the window's size, unless the user has chosen one.

        Args:
            image_size: (width, height).

        Returns:
            RGB uint8 (H, W, 3).
        """
        if self._image_size is None:
            self._adopt(image_size)
        self._image_size = image_size
        width, height = self._picture_size(image_size)
        if self._canvas.shape != (height, width, 3):
            self._canvas = np.zeros((height, width, 3), np.uint8)
            self._canvas_surface = pygame.image.frombuffer(self._canvas.data, (width, height), "RGB")  # the same memory
        return self._canvas

    def show(self, content: PanelText) -> None:
        """Draw the canvas and the texts to the screen."""
        surface = pygame.display.get_surface()
        if surface is None:
            return
        surface.fill(BLACK)
        width, height = self._room(surface)
        surface.blit(self._canvas_surface, self._canvas_surface.get_rect(center=(width // 2, height // 2)))
        self._lettering.draw(surface, content)
        pygame.display.flip()
        self._must_redraw = False

    def toggle_full_screen(self) -> None:
        """Toggle full screen; without a desktop it always fills the screen."""
        if not self._only_full:
            self._set_mode(full=not self._is_full)

    def _refuse_no_screen(self) -> None:
        driver = pygame.display.get_driver()
        if driver in NO_SCREENS and driver != os.environ.get("SDL_VIDEODRIVER"):
            raise pygame.error("SDL finds none")

    def _set_mode(self, *, full: bool) -> None:
        surface = pygame.display.get_surface()
        if full and not self._is_full and surface is not None:
            self._windowed_size = surface.get_size()
        if full:
            self._move((0, 0))
            pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
        else:
            pygame.display.set_mode(self._windowed_size, pygame.RESIZABLE)
            self._move(None)
        pygame.mouse.set_visible(not full)
        self._is_full = full
        self._must_redraw = True

    def _move(self, corner: Size | None) -> None:
        """Move the top left corner; None centres the window.

        Needed without a window manager. With several screens it is not moved, as its screen is unknown.
        """
        screens, surface = pygame.display.get_desktop_sizes(), pygame.display.get_surface()
        if len(screens) > 1 or surface is None:
            return
        if corner is None:
            spare = [max(whole - part, 0) for whole, part in zip(screens[0], surface.get_size(), strict=True)]
            corner = (spare[0] // 2, spare[1] // 2)
        pygame.display.set_window_position(corner)

    def _adopt(self, image_size: Size) -> None:
        surface = pygame.display.get_surface()
        if self._is_full or surface is None or surface.get_size() != self._windowed_size:
            return
        width, height = first_size(image_size, pygame.display.get_desktop_sizes()[0])
        whole = height
        while whole - bar_px(whole) < height:
            whole += 1
        self._windowed_size = (width, whole)
        self._set_mode(full=False)

    def _room(self, surface: pygame.Surface) -> Size:
        """Return the size left for the picture above the bar."""
        width, height = surface.get_size()
        return width, max(height - bar_px(height), 1)

    def _picture_size(self, image_size: Size) -> Size:
        surface = pygame.display.get_surface()
        return image_size if surface is None else fit(image_size, self._room(surface))


def _no_screen(why: str) -> UnavailableError:
    return UnavailableError(
        f"display: no screen ({why}): set DISPLAY or WAYLAND_DISPLAY; on a console without a desktop "
        "SDL_VIDEODRIVER=kmsdrm, with the groups video, render and input"
    )
