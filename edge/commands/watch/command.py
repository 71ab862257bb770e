"""`edge-pose watch`: every device on a broker, live.

In a terminal a view of its own, into a pipe lines.
"""

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TextIO

from edge.commands.terminal.screen import Screen, printed, takes_colour, takes_screen
from edge.commands.watch.device import Device
from edge.commands.watch.devices import Devices
from edge.commands.watch.lines import summary
from edge.commands.watch.text import clean
from edge.commands.watch.view import Page, Viewport, card_lines, page
from edge.commands.watch.watched_broker import WatchedBroker
from edge.errors import UnavailableError
from edge.mqtt.settings import MqttSettings

__all__ = ["Watch", "WatchOptions"]

REDRAW_S = 0.2
IDLE_REDRAW_S = 1.0
"""Without messages the durations on the page still change."""
PAGE_STEPS = 10
FOLLOWED_IN_A_PIPE = 16
"""Devices whose poses are subscribed: a pipe shows only metrics, and the network is needed by the agents."""
ONCE_S = 2.0
"""How long a snapshot waits for poses; retained messages arrive at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """Options of the command line.

    Attributes:
        device: the only one to show; None for all.
        once: print the state once and end.
        every_s: into a pipe: seconds between two summaries.
    """

    device: str | None = None
    once: bool = False
    every_s: float = 10.0


class Watch:
    """One view of a broker.

    Args:
        settings: address and login of the broker; the device in it is ignored.
        options: what to show.
        out: text stream; stdout if None.
        is_over: polled several times a second; True ends the view as `stop` does.
    """

    def __init__(
        self,
        settings: MqttSettings,
        options: WatchOptions,
        *,
        out: TextIO | None = None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._options = options
        self._out = sys.stdout if out is None else out
        self._is_over = is_over
        self._base = settings.base_topic
        self._broker = WatchedBroker(settings, only=options.device)
        self._stopping = False  # plain flags: they are set from signal handlers
        self._suspending = False
        self._selected: str | None = None
        self._alone = False

    def stop(self) -> None:
        """End the view; safe in a signal handler."""
        self._stopping = True
        self._broker.nudge()

    def open(self) -> None:
        """Connect to the broker.

        Raises:
            UnavailableError: it cannot be reached, or refuses the login.
        """
        self._broker.open()

    def run(self) -> int:
        """Show it until `stop`, the key q, or a closed output.

        Raises:
            UnavailableError: a snapshot of one device that sent nothing.
            BrokenPipeError: the reader of the output has gone.
        """
        try:
            if self._options.once:
                self._snapshot()
            elif takes_screen(self._out):
                self._show()
            else:
                self._print_lines()
        finally:
            self._broker.close()
        return 0

    def _has_ended(self) -> bool:
        return self._stopping or self._is_over()

    # Into a pipe

    def _print_lines(self) -> None:
        next_s = time.monotonic() + min(self._options.every_s, ONCE_S)
        while not self._has_ended():
            self._broker.raise_error()
            self._broker.wait(next_s - time.monotonic(), self._out)
            self._print([f"{_clock()} {line}" for line in self._broker.take_events()])
            self._broker.follow(self._broker.look(_first_names))
            if time.monotonic() >= next_s:
                next_s = time.monotonic() + self._options.every_s
                self._print([f"{_clock()} {line}" for line in self._broker.look(_summaries) or [self._no_device()]])

    def _print(self, lines: list[str]) -> None:
        self._out.write(printed("".join(f"{line}\n" for line in lines), self._out))
        self._out.flush()

    def _no_device(self) -> str:
        who = "any device" if self._options.device is None else clean(self._options.device)
        return f"no message from {who} on {self._broker.address} under {clean(self._base)}/"

    # Once

    def _snapshot(self) -> None:
        until_s = time.monotonic() + ONCE_S
        while not self._has_ended() and time.monotonic() < until_s:
            self._broker.raise_error()
            self._broker.wait(0.1, self._out)
            self._broker.follow(self._broker.look(_first_names))
        lines = self._broker.look(self._cards if takes_screen(self._out) else _summaries)
        if not lines and self._options.device is not None:
            raise UnavailableError(self._no_device())
        self._print(lines or [self._no_device()])

    def _cards(self, devices: Devices) -> list[str]:
        view = self._view(Screen(self._out).size())
        blocks = [card_lines(device, devices, view, view.rows - 2) for device in devices.ordered(view.now_s)]
        return [line.rstrip() for block in blocks for line in (*block, "")]

    # On a terminal

    def _show(self) -> None:
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGWINCH, signal.SIGTSTP)}
        try:
            with Screen(self._out) as screen:
                self._redraw_until_stopped(screen)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is Python's
        self._suspending = self._suspending or number == signal.SIGTSTP
        self._broker.nudge()

    def _redraw_until_stopped(self, screen: Screen) -> None:
        drawn_s, size = -IDLE_REDRAW_S, (0, 0)
        while not self._has_ended():
            self._broker.raise_error()
            if self._suspending:
                self._suspending = False
                screen.suspend()
                size = (0, 0)
            due_s = drawn_s + (REDRAW_S if self._broker.is_dirty else IDLE_REDRAW_S)
            if time.monotonic() >= due_s or screen.size() != size:
                drawn_s, size = time.monotonic(), screen.size()
                self._draw(screen, size)
            if self._broker.wait(REDRAW_S, self._out, screen.keys):
                self._press(screen.read())
                drawn_s = -IDLE_REDRAW_S  # redraw at once after a key

    def _draw(self, screen: Screen, size: tuple[int, int]) -> None:
        view = self._view(size)
        self._broker.take_events()

        def lay_out(devices: Devices) -> Page:
            return page(devices, view)

        shown = self._broker.look(lay_out)
        self._broker.follow(shown.drawn)
        screen.show(shown.lines)

    def _view(self, size: tuple[int, int]) -> Viewport:
        return Viewport(
            columns=size[0],
            rows=size[1],
            broker=self._broker.address,
            now_s=time.monotonic(),
            wall_s=time.time(),
            selected=self._selected,
            alone=self._alone,
            colour=takes_colour(self._out),
        )

    def _press(self, keys: list[str]) -> None:
        for key in keys:
            if key == "quit":
                self.stop()
            elif key == "enter":
                self._alone = not self._alone
            else:
                self._step(key)

    def _step(self, key: str) -> None:
        names = [device.name for device in self._broker.look(_ordered)]
        if not names:
            return
        at = names.index(self._selected) if self._selected in names else 0
        to = {"up": at - 1, "down": at + 1, "page up": at - PAGE_STEPS, "page down": at + PAGE_STEPS, "first": 0}
        self._selected = names[min(max(to.get(key, len(names) - 1), 0), len(names) - 1)]


def _ordered(devices: Devices) -> list[Device]:
    return devices.ordered(time.monotonic())


def _first_names(devices: Devices) -> frozenset[str]:
    """Choose the devices to follow; by name, so that a change of state changes nothing."""
    return frozenset(sorted(device.name for device in _ordered(devices))[:FOLLOWED_IN_A_PIPE])


def _summaries(devices: Devices) -> list[str]:
    now_s = time.monotonic()
    return [summary(device, devices.connection, now_s=now_s) for device in devices.ordered(now_s)]


def _clock() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
