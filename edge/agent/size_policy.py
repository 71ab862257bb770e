"""Chooses the input's size by what this machine holds. Pure: times are arguments."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Decision", "Lap", "SizePolicy"]

TRIAL_LAPS, MIN_TRIAL_LAPS, TRIAL_S = 20, 3, 2.0
"""A trial ends after so many frames, or after the time and so many frames."""
WINDOW_S, MIN_WINDOW_LAPS = 30.0, 10
"""Frames are judged together from a trial on: one slow frame is no heat."""
SLACK = 0.9
"""A size is left only clearly below what it has to hold, else noise at the limit would cost it."""
HEADROOM = 1.25
FIRST_UP_S, MAX_UP_S = 300.0, 86_400.0
"""How long there has to be headroom before a larger size is tried; doubled by every try."""

Size = tuple[int, int]
"""(width, height) in pixels."""


@dataclass(frozen=True, slots=True)
class Lap:
    """One frame's way through the flow.

    Attributes:
        index: of the frame; frames that were dropped count.
        capture_s: when it was captured.
        done_s: when its result was handed over, monotonic.
        busy_s: time from the start of its letterbox to there.
    """

    index: int
    capture_s: float
    done_s: float
    busy_s: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A level to take from now on, and why; it may be the present one."""

    level: int
    reason: str


class SizePolicy:
    """Takes the largest size at which the flow holds a number of frames per second.

    It starts at the engine's level. After a trial of the first frames it goes down to what will hold. Later it goes
    down by one when 30 s were too slow (heat, other programs), and up by one after five minutes in which the larger
    size would have held with headroom (a start while the machine boots). Each step up doubles that time, to a day, so
    that it does not go back and forth. For a camera that is slower its own rate suffices.

    Args:
        min_fps: frames per second to hold.
    """

    def __init__(self, min_fps: float) -> None:
        self._min_fps = min_fps
        self._level: int | None = None
        self._laps: list[Lap] = []
        self._is_trial = self._is_first = True
        self._has_spoken = False
        self._headroom_s = 0.0
        self._up_after_s = FIRST_UP_S

    def record(self, lap: Lap, choices: Sequence[Size], level: int) -> Decision | None:
        """Record a frame; return what is decided by it, mostly None.

        Args:
            lap: of a frame whose poses were found.
            choices: sizes that the engine can take, largest first; nothing is decided if there is one.
            level: the one that it took.
        """
        if len(choices) < 2:
            self._level = None  # an engine that follows is measured again
            return None
        if level != self._level:
            self._begin(level, is_trial=True)
        if self._is_first:
            self._is_first = False  # the first inference at a size is slower
            return None
        self._laps.append(lap)
        return self._end_trial(choices, level) if self._is_trial else self._end_window(choices, level)

    def _begin(self, level: int, *, is_trial: bool) -> None:
        self._is_first = level != self._level
        self._level, self._is_trial = level, is_trial
        self._laps = []

    def _end_trial(self, choices: Sequence[Size], level: int) -> Decision | None:
        laps = self._laps
        if len(laps) < TRIAL_LAPS and (len(laps) < MIN_TRIAL_LAPS or self._seconds() < TRIAL_S):
            return None
        fps, has_spoken = 1 / statistics.median(lap.busy_s for lap in laps), self._has_spoken
        self._has_spoken = True
        lower = range(level + 1, len(choices))
        if fps >= self._needed_fps() or not lower:
            text = f"{fps:.1f} fps here, {self._needed()}"
            self._begin(level, is_trial=False)
            return None if has_spoken else Decision(level, text)
        # Time falls by less than the area, so what does not even hold by the area need not be tried.
        hopeful = [each for each in lower if fps / _ratio(choices, each, level) >= self._needed_fps()]
        text = f"{_hxw(choices[level])} would give {fps:.1f} fps here, {self._needed()}"
        self._begin(hopeful[0] if hopeful else lower[-1], is_trial=True)
        return Decision(self._level or 0, text)

    def _end_window(self, choices: Sequence[Size], level: int) -> Decision | None:
        laps = self._laps
        if len(laps) < MIN_WINDOW_LAPS or self._seconds() < WINDOW_S:
            return None
        fps, needed_fps, needed = len(laps) / sum(lap.busy_s for lap in laps), self._needed_fps(), self._needed()
        seconds = self._seconds()
        self._begin(level, is_trial=False)
        if fps < SLACK * needed_fps and level + 1 < len(choices):
            self._headroom_s = 0.0
            self._begin(level + 1, is_trial=False)
            return Decision(level + 1, f"{_hxw(choices[level])} gave {fps:.1f} fps for {seconds:.0f} s, {needed}")
        larger_fps = fps / _ratio(choices, level - 1, level) if level else 0.0
        self._headroom_s = self._headroom_s + seconds if larger_fps >= HEADROOM * needed_fps else 0.0
        if self._headroom_s < self._up_after_s:
            return None
        self._headroom_s, self._up_after_s = 0.0, min(2 * self._up_after_s, MAX_UP_S)
        self._begin(level - 1, is_trial=False)
        return Decision(level - 1, f"{_hxw(choices[level])} gave {fps:.1f} fps, {needed}")

    def _seconds(self) -> float:
        return self._laps[-1].done_s - self._laps[0].done_s + self._laps[0].busy_s

    def _needed_fps(self) -> float:
        """Return the frames per second to hold: not more than the camera gives."""
        first, last = self._laps[0], self._laps[-1]
        seconds = last.capture_s - first.capture_s
        camera_fps = (last.index - first.index) / seconds if seconds > 0 else self._min_fps
        return min(self._min_fps, camera_fps)

    def _needed(self) -> str:
        needed_fps = self._needed_fps()
        if needed_fps < self._min_fps:
            return f"the camera gives {needed_fps:.1f}"
        return f"model.min_fps is {self._min_fps:g}"


def _ratio(choices: Sequence[Size], level: int, other: int) -> float:
    """Return the area of `level` over that of `other`."""
    (width, height), (other_width, other_height) = choices[level], choices[other]
    return width * height / (other_width * other_height)


def _hxw(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
