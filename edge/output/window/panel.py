"""The window's texts: state, metrics, and a banner while no pictures arrive.

Time is an argument.
"""

from dataclasses import dataclass

from edge.output.framerate import FrameRate
from edge.payload import Origin, StatusMessage
from edge.ports import PoseFrame
from edge.rolling import Rolling

__all__ = ["Panel", "PanelText"]

METRICS_S = 0.5
"""Interval of new numbers: faster ones cannot be read."""
NOTE_S = 4.0
MIN_STALE_S, STALE_INTERVALS = 2.0, 3.0
"""A picture is stale after 2 s, or after three times the usual interval, if that is longer."""
FIRST_STALE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelText:
    """All texts of the window at one moment.

    Equal values look the same.

    Attributes:
        place: device and camera.
        state: `online`, or `degraded` with its reason.
        is_ok: False shows the state in the warning colour.
        metrics: rate, latency and people; empty while no pictures arrive.
        banner: lines over the dimmed picture while no pictures arrive; else empty.
        note: response to a key, shown for a few seconds.
        has_help: the help is open.
        private: skeletons on black.
    """

    place: str
    state: str
    is_ok: bool
    metrics: str
    banner: tuple[str, ...]
    note: str
    has_help: bool
    private: bool


class Panel:
    """State behind the window's texts; used by one thread.

    All times are monotonic seconds.

    Args:
        origin: names the device and the camera.
        private: skeletons on black, and no key switches that off.
    """

    def __init__(self, origin: Origin, *, private: bool) -> None:
        self._place = f"{origin.device} / {origin.camera}"
        self._is_locked = private
        self.private = private
        self._has_help = False
        self._note = ("", 0.0)  # text, time
        self._status = ("degraded", "starting")
        self._begin_measuring()
        self._people = 0
        self._last_s: float | None = None
        self._interval_s: float | None = None
        self._metrics = ("", 0.0)  # text, time

    def status(self, message: StatusMessage) -> None:
        """Take the device's newest status."""
        self._status = (message.state, message.reason)

    def result(self, result: PoseFrame, now_s: float) -> None:
        """Take a new result, before it is shown."""
        if self._is_stale(now_s):
            self._begin_measuring()  # the time without pictures is not a rate
        elif self._last_s is not None:
            self._interval_s = now_s - self._last_s
        self._last_s = now_s
        self._fps.add(result.frame.index, now_s)
        self._people = len(result.poses)

    def shown(self, age_s: float) -> None:
        """Take the newest result's age when it was on the screen."""
        self._latency_ms.add(age_s * 1e3)

    def set_note(self, text: str, now_s: float) -> None:
        """Show a response to a key."""
        self._note = (text, now_s)

    def toggle_help(self) -> None:
        """Toggle the help."""
        self._has_help = not self._has_help

    def toggle_private(self, now_s: float) -> None:
        """Toggle private, unless the config sets it."""
        if self._is_locked:
            self.set_note("private by the config: it stays on", now_s)
            return
        self.private = not self.private
        self.set_note(f"private {'on' if self.private else 'off'}", now_s)

    def text(self, now_s: float) -> PanelText:
        """Return the texts to show now."""
        state, reason = self._status
        note, noted_s = self._note
        banner = self._banner(now_s)
        return PanelText(
            place=self._place,
            state=f"{state}: {reason}" if reason else state,
            is_ok=state == "online" and not banner,
            metrics="" if banner else self._metrics_at(now_s),
            banner=banner,
            note=note if now_s - noted_s < NOTE_S else "",
            has_help=self._has_help,
            private=self.private,
        )

    def _begin_measuring(self) -> None:
        self._fps = FrameRate()
        self._latency_ms = Rolling(25)

    def _is_stale(self, now_s: float) -> bool:
        if self._last_s is None:
            return False
        usual_s = FIRST_STALE_S if self._interval_s is None else STALE_INTERVALS * self._interval_s
        return now_s - self._last_s > max(usual_s, MIN_STALE_S)

    def _banner(self, now_s: float) -> tuple[str, ...]:
        state, reason = self._status
        is_away = state != "online" and reason.startswith("camera:")
        if self._last_s is None:
            return (reason if is_away else "waiting for the first picture",)
        if not (is_away or self._is_stale(now_s)):
            return ()
        return reason if is_away else "no new picture", f"last picture {_ago(now_s - self._last_s)}"

    def _metrics_at(self, now_s: float) -> str:
        text, made_s = self._metrics
        if not text or now_s - made_s >= METRICS_S:
            self._metrics = (text, _) = (self._current_metrics(), now_s)
        return text

    def _current_metrics(self) -> str:
        fps, latency_ms = self._fps.mean_fps, self._latency_ms.p50
        known = [] if fps is None else [f"{fps:.1f} fps"]
        known += [] if latency_ms is None else [f"{latency_ms:.0f} ms"]
        return "   ".join([*known, f"{self._people} {'person' if self._people == 1 else 'people'}"])


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.0f} h ago"
