"""Sink `display`: a window with annotated pictures and the device's state."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal, Protocol

from edge.errors import UnavailableError
from edge.frame import Image
from edge.mailbox import Mailbox
from edge.output.window.keys import Action
from edge.output.window.panel import Panel, PanelText
from edge.output.window.picture import paint
from edge.output.window.snapshot import save_snapshot
from edge.payload import Message, Origin, StatusMessage
from edge.ports import PoseFrame

__all__ = ["WindowScreen", "WindowSink"]

log = logging.getLogger(__name__)

TICK_S = 0.03
"""Interval of checks for keys while no results arrive."""
OPEN_S = 5.0
CLOSE_S = 0.4
"""Timeout after which a hanging screen is abandoned."""


class WindowScreen(Protocol):
    """A window; one thread opens, uses and closes it."""

    def open(self, title: str, on_lost: Callable[[], None]) -> None:
        """Open it; `on_lost` is called when it is lost. Raises UnavailableError."""

    def close(self) -> None:
        """Close it."""

    def actions(self) -> list[Action]:
        """Return the actions of keys pressed since the last call."""

    @property
    def must_redraw(self) -> bool:
        """Whether the window has lost what it showed."""

    def canvas(self, image_size: tuple[int, int]) -> Image:
        """Return the canvas, RGB uint8 (H, W, 3), for images of (width, height)."""

    def show(self, content: PanelText) -> None:
        """Draw the canvas and the texts to the screen."""

    def toggle_full_screen(self) -> None:
        """Toggle full screen."""


class WindowSink:
    """Shows results in a window, and the device's state while none arrive.

    The window is used on a thread of its own, which handles keys between results too. A display server that dies or
    hangs costs the window, never the run.

    Args:
        origin: names the device and the camera.
        make_screen: called on the window's thread. Raises UnavailableError without its libraries.
        on_quit: called when the window is closed or `q` is pressed.
        private: skeletons on black; no key switches that off.
        folder: for snapshots.
        open_s: timeout of the display server.

    Attributes:
        wants_image: False when frames may arrive without their images.
    """

    name = "display"
    blocks: Literal[False] = False

    def __init__(
        self,
        origin: Origin,
        make_screen: Callable[[], WindowScreen],
        on_quit: Callable[[], None],
        *,
        private: bool,
        folder: Path,
        open_s: float = OPEN_S,
    ) -> None:
        self.wants_image = not private
        self._origin = origin
        self._make_screen = make_screen
        self._on_quit = on_quit
        self._folder = folder
        self._open_s = open_s
        self._panel = Panel(origin, private=private)
        self._inbox: Mailbox[PoseFrame] = Mailbox()
        self._status: StatusMessage | None = None
        self._result: PoseFrame | None = None
        self._shown: PanelText | None = None
        self._opened: SimpleQueue[Exception | None] = SimpleQueue()
        self._closing = threading.Event()
        self._leave_by_s = 0.0
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="window", daemon=True)

    def open(self) -> None:
        """Open the window. Raises UnavailableError: no screen, or a timeout."""
        self._thread.start()
        try:
            problem = self._opened.get(timeout=self._open_s)
        except Empty:
            self._closing.set()
            text = f"display: the display server does not answer within {self._open_s:g} s"
            raise UnavailableError(text) from None
        if isinstance(problem, UnavailableError):
            raise problem
        if problem is not None:
            text = f"display: the window cannot be opened: {type(problem).__name__}: {problem}"
            raise UnavailableError(text) from problem

    @property
    def dropped(self) -> int:
        """Results that a newer one replaced before they were shown."""
        return self._inbox.dropped

    def write(self, result: PoseFrame) -> None:
        """Leave a result for the window; never blocks.

        Raises:
            UnavailableError: the screen is gone.
        """
        if not self._inbox.put(result) and self._failure is not None:
            raise self._failure

    def set_state(self, topic: str, message: Message) -> None:
        """Take a state message, from any thread.

        The window shows `status`, and closes when it is offline.
        """
        if topic == "status" and isinstance(message, StatusMessage):
            self._status = message
            if message.state == "offline":
                self._leave()  # while other outputs still shut down

    def close(self) -> None:
        """Close the window; a hanging one is abandoned."""
        self._leave()
        self._inbox.close()
        if self._failure is None:
            self._thread.join(max(self._leave_by_s - time.monotonic(), 0))
            if self._thread.is_alive():
                log.warning("display: the window hangs; it is left behind")

    def _leave(self) -> None:
        """Start to close; a second call does not extend the timeout."""
        self._leave_by_s = self._leave_by_s or time.monotonic() + CLOSE_S
        self._closing.set()

    def _run(self) -> None:
        try:
            screen = self._make_screen()
            screen.open(f"{self._origin.device} / {self._origin.camera} - edge-pose", self._lose)
        except Exception as error:  # noqa: BLE001 - raised again by `open`
            self._opened.put(error)
            return
        self._opened.put(None)
        try:
            while not self._closing.is_set():
                self._step(screen)
        except Exception as error:  # noqa: BLE001 - raised again by `write`
            self._fail(error)
        finally:
            self._inbox.close()
            screen.close()

    def _lose(self) -> None:
        self._fail(UnavailableError("display: the display server is gone"))

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._inbox.close()

    def _step(self, screen: WindowScreen) -> None:
        """Show the next result or a changed text, and handle keys."""
        result = self._inbox.get(TICK_S)
        if result is not None:
            self._result = result
            self._panel.result(result, time.monotonic())
        if self._status is not None:
            self._panel.status(self._status)
        for action in screen.actions():
            self._do(action, screen)
        content = self._panel.text(time.monotonic())
        if result is not None or content != self._shown or screen.must_redraw:
            self._draw(content, screen)
        if result is not None:
            self._panel.shown(time.monotonic() - result.frame.time_s)

    def _draw(self, content: PanelText, screen: WindowScreen) -> None:
        if self._result is not None:
            canvas = screen.canvas(self._result.frame.size)
            paint(self._result, canvas, private=content.private, dimmed=bool(content.banner))
        screen.show(content)
        self._shown = content

    def _do(self, action: Action, screen: WindowScreen) -> None:
        match action:
            case "quit":
                self._leave()
                self._on_quit()
            case "snapshot":
                self._save()
            case "private":
                self._panel.toggle_private(time.monotonic())
            case "full screen":
                screen.toggle_full_screen()
            case "help":
                self._panel.toggle_help()

    def _save(self) -> None:
        try:
            self._panel.set_note(self._saved(), time.monotonic())
        except OSError as error:
            log.warning("snapshot: cannot be written to %s: %s", self._folder.resolve(), error.strerror or error)
            self._panel.set_note(f"no snapshot: {error.strerror or error}", time.monotonic())

    def _saved(self) -> str:
        if self._result is None:
            return "no picture yet"
        path = save_snapshot(self._result, self._origin, self._folder, private=self._panel.private)
        log.info("snapshot saved as %s", path.resolve())
        return f"saved {path.name}"
