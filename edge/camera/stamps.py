"""Turns time stamps of a recording or stream into positions that never go back."""

__all__ = ["DEFAULT_FPS", "MAX_FPS", "StampClock", "plausible_fps"]

DEFAULT_FPS = 25.0
MIN_FPS, MAX_FPS = 0.05, 250.0
"""A header beyond them means no pace: recorders write 600, 90000 or 0.001."""
MAX_STEP_S = 2.0
MAX_BACK_S = 0.1
"""Less is jitter."""
MIN_STEP_S = 1e-3


def plausible_fps(header_fps: float) -> float:
    """Return the frames per second that a header means, 25 if it cannot mean what it says."""
    return header_fps if MIN_FPS <= header_fps <= MAX_FPS else DEFAULT_FPS


class StampClock:
    """Positions of frames by their time stamps; where these jump, a new clock begins.

    Joined recordings go back to 0, or forward by hours.

    Args:
        fps: of every file, whatever its stamps; None for the stamps.

    Attributes:
        jumps: how often the stamps jumped.
        is_absurd: whether they came faster than any camera, so that they were not followed.
    """

    def __init__(self, fps: float | None = None) -> None:
        self._fps = fps
        self._base_s = 0.0  # position of the stamp 0
        self._stamp_s: float | None = None  # the last one
        self._position_s = 0.0
        self.jumps = 0
        self.is_absurd = False

    def start(self, position_s: float) -> None:
        """Begin a recording: its first frame has this position."""
        self._stamp_s, self._position_s = None, position_s
        self.jumps = 0

    def period_s(self, header_fps: float) -> float:
        """Return the nominal time between two frames."""
        return 1 / (self._fps or plausible_fps(header_fps))

    def position_s(self, stamp_s: float, header_fps: float) -> float:
        """Return the position of the next frame in seconds.

        Args:
            stamp_s: its time stamp; 0 for every frame of a recording that has none.
            header_fps: frames per second by the header.
        """
        last_s, self._stamp_s = self._stamp_s, stamp_s
        if last_s is None:
            self._base_s = self._position_s - stamp_s
            return self._position_s
        step_s = self._step_s(stamp_s, last_s, header_fps)
        if step_s is not None:  # not as the stamps say
            self._base_s = self._position_s + step_s - stamp_s
        self._position_s = max(self._base_s + stamp_s, self._position_s + MIN_STEP_S)
        return self._position_s

    def _step_s(self, stamp_s: float, last_s: float, header_fps: float) -> float | None:
        """Return how far to go if the stamps cannot tell."""
        period_s, step_s = self.period_s(header_fps), stamp_s - last_s
        has_none = stamp_s <= 0 and last_s <= 0
        if self._fps or has_none:
            return period_s
        if not -MAX_BACK_S <= step_s <= max(MAX_STEP_S, 3 * period_s):
            self.jumps += 1
            return period_s
        if header_fps > MAX_FPS and 0 < step_s < 1 / MAX_FPS:
            self.is_absurd = True
            return period_s
        return None
