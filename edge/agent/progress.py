"""What a run found and delivered, in a line for people."""

import time
from collections.abc import Sequence

from edge.agent.sink_threads import OpenSink

__all__ = ["Progress", "undelivered"]

PERIOD_S = 10.0
"""Between two lines."""


class Progress:
    """Counts results; one thread adds, another reads.

    Attributes:
        frames: with a result.
        most_people: at once.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.most_people = 0
        self._people = 0
        self._first_s: float | None = None
        self._last_s = 0.0
        self._line_s = time.monotonic()
        self._line_frames = 0

    def add(self, people: int) -> None:
        """Count a result with so many people."""
        self._last_s = time.monotonic()
        self._first_s = self._first_s or self._last_s
        self._people = people
        self.most_people = max(self.most_people, people)
        self.frames += 1

    def due_line(self, now_s: float) -> str:
        """Return the figures of the last ten seconds; empty while they are not over, or nothing was seen."""
        seconds = now_s - self._line_s
        if seconds < PERIOD_S:
            return ""
        frames, self._line_frames, self._line_s = self.frames - self._line_frames, self.frames, now_s
        return f"{frames / seconds:.1f} fps, {_people(self._people)} now" if frames else ""

    def summary(self, sinks: Sequence[OpenSink], skipped: int, *, is_paced_file: bool) -> str:
        """Return the figures of the whole run.

        Args:
            sinks: its outputs, closed.
            skipped: frames that the camera's side dropped.
            is_paced_file: whether the source is a file that plays at its own pace.
        """
        total = f" of {self.frames + skipped}" if skipped else ""
        slow = " (too slow for its pace: --no-pace takes every frame)" if skipped and is_paced_file else ""
        seconds = self._last_s - (self._first_s or self._last_s)
        found = f"at most {_people(self.most_people)} at once" if self.most_people else "nobody was found"
        delivered = ", ".join(f"{sink.sink.name} {sink.delivered}" for sink in sinks)
        return (
            f"{self.frames}{total} frames{slow} in {seconds:.0f} s, {found}; messages or frames delivered: {delivered}"
        )


def undelivered(progress: Progress, sinks: Sequence[OpenSink]) -> str:
    """Return the outputs if none of them took any result, though there were some; else nothing."""
    if not progress.frames or any(sink.delivered for sink in sinks):
        return ""
    return ", ".join(sink.sink.name for sink in sinks)


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"
