"""The other side of a window: presses its keys, looks at it, and stands in for its screen."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import numpy as np
import pygame
from numpy.typing import NDArray

from builders import ORIGIN, pose
from edge.frame import Frame, Image
from edge.output.window.keys import Action
from edge.output.window.panel import PanelText
from edge.output.window.screen import PygameScreen, pending_events
from edge.output.window.sink import WindowScreen, WindowSink
from edge.payload import State, StatusMessage, status_message
from edge.ports import PoseFrame

T = TypeVar("T")
PATIENCE_S = 10.0
Rgb = tuple[int, int, int]
LILAC: Rgb = (150, 40, 200)
GREEN: Rgb = (30, 120, 60)
"""No edge of a letter has these colours."""


class Visitor:
    """A user of the window, who acts on the window's thread, as SDL requires."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def events(self) -> Sequence[pygame.event.Event]:
        """Do what was asked for, then return SDL's real events."""
        try:
            while True:
                self._jobs.get_nowait()()
        except Empty:
            return pending_events()

    def press(self, key: int, *, mod: int = 0) -> None:
        """Press a key, such as `pygame.K_q`."""
        self.post(pygame.event.Event(pygame.KEYDOWN, key=key, mod=mod, unicode=""))

    def post(self, event: pygame.event.Event) -> None:
        self._do(lambda: pygame.event.post(event))

    def look(self) -> NDArray[np.uint8]:
        """Return what the window shows, RGB (H, W, 3)."""
        return self._do(lambda: pygame.surfarray.array3d(_surface()).swapaxes(0, 1).copy())

    def cover(self, colour: "Rgb") -> None:
        """Lay something over the window and take it away: what was there is lost, and SDL says so."""

        def smear() -> None:
            _surface().fill(colour)
            pygame.event.post(pygame.event.Event(pygame.WINDOWEXPOSED))

        self._do(smear)

    def resize(self, width: int, height: int) -> None:
        """Drag the window to another size."""

        def drag() -> None:
            pygame.display.set_mode((width, height), pygame.RESIZABLE)
            pygame.event.post(pygame.event.Event(pygame.WINDOWSIZECHANGED))

        self._do(drag)

    def _do(self, job: Callable[[], T]) -> T:
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(job())
            except Exception as error:  # noqa: BLE001 - raised again by the test
                done.set_exception(error)

        self._jobs.put(run)
        return done.result(PATIENCE_S)


def _surface() -> pygame.Surface:
    surface = pygame.display.get_surface()
    assert surface is not None
    return surface


class ScriptedScreen:
    """A screen without a display server: keeps what it is shown.

    Args:
        gate: waited for in `show`, as if the display server hung.
        error: raised by `show`.
    """

    def __init__(self, *, gate: threading.Event | None = None, error: Exception | None = None) -> None:
        self._gate = gate
        self._error = error
        self._canvas: Image = np.empty((0, 0, 3), np.uint8)
        self.asked: SimpleQueue[Action] = SimpleQueue()
        self.shown: list[PanelText] = []
        self.pictures: list[Image] = []
        self.threads: set[str] = set()
        self.closed = False
        self.must_redraw = False
        self.lost: Callable[[], None] | None = None

    def open(self, title: str, on_lost: Callable[[], None]) -> None:
        self.threads.add(threading.current_thread().name)
        self.title = title
        self.lost = on_lost

    def close(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.closed = True

    def actions(self) -> list[Action]:
        self.threads.add(threading.current_thread().name)
        try:
            return [self.asked.get_nowait()]
        except Empty:
            return []

    def canvas(self, image_size: tuple[int, int]) -> Image:
        if self._canvas.shape != (image_size[1], image_size[0], 3):
            self._canvas = np.zeros((image_size[1], image_size[0], 3), np.uint8)
        return self._canvas

    def show(self, content: PanelText) -> None:
        self.threads.add(threading.current_thread().name)
        self.pictures.append(self._canvas.copy())
        self.shown.append(content)  # last: tests wait for it, and then look at the picture
        if self._error is not None:
            raise self._error
        if self._gate is not None:
            assert self._gate.wait(PATIENCE_S)

    def toggle_full_screen(self) -> None:
        self.must_redraw = True


def sink(
    folder: Path,
    make_screen: Callable[[], WindowScreen],
    on_quit: Callable[[], None] = lambda: None,
    *,
    private: bool = False,
    open_s: float = PATIENCE_S,
) -> WindowSink:
    return WindowSink(ORIGIN, make_screen, on_quit, private=private, folder=folder, open_s=open_s)


def status(state: State, reason: str = "") -> StatusMessage:
    return status_message(state, reason, ORIGIN, 0.0, 0.0)


def seen(
    index: int = 0, *, width: int = 640, height: int = 360, colour: Rgb = LILAC, time_s: float = 100.0
) -> PoseFrame:
    """A result with one person, whose image is of one colour."""
    image = np.full((height, width, 3), colour, np.uint8)
    frame = Frame(image, index, time_s, 1_769_860_800.123 + index, time_s)
    return PoseFrame(frame, (pose(track_id=3),), 12.5)


def share(picture: NDArray[Any], colour: Rgb = LILAC) -> float:
    """Return which part of the pixels (H, W, 3) has a colour."""
    return float((picture == colour).all(axis=2).mean())


@contextmanager
def variables(**values: str | None) -> Iterator[None]:
    """Set variables of the environment, or remove them where the value is None, as long as the block lasts."""
    before: dict[str, Any] = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def window(
    folder: Path, on_quit: Callable[[], None] = lambda: None, *, private: bool = False
) -> Iterator[tuple[WindowSink, Visitor]]:
    """A real window of SDL off screen, and its user."""
    visitor = Visitor()
    with variables(SDL_VIDEODRIVER="dummy"):
        opened = sink(folder, lambda: PygameScreen(visitor.events), on_quit, private=private)
        opened.open()
    try:
        yield opened, visitor
    finally:
        opened.close()
