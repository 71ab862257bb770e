"""Clock of files and the scene: real time or full speed."""

import threading
import time

from edge.frame import Frame, Image

__all__ = ["Pacer"]


class Pacer:
    """Converts positions in a recording to capture times.

    Args:
        paced: True: a frame is captured at its time, as by a camera. False: when it is read.
    """

    def __init__(self, *, paced: bool) -> None:
        self._paced = paced
        self._stopped = threading.Event()
        self._start_s: float | None = None
        self._start_wall_s = 0.0

    def start(self) -> None:
        """Start the recording's time with the next call of another method: the model may have to be prepared first."""
        self._stopped.clear()
        self._start_s = None

    def stop(self) -> None:
        """End a wait from another thread."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """True after `stop`, until the next `start`."""
        return self._stopped.is_set()

    def is_late(self, position_s: float) -> bool:
        """Return whether the time of a paced frame at `position_s` has passed."""
        return self._paced and time.monotonic() > self._begin_s() + position_s

    def wait(self, position_s: float) -> bool:
        """Wait until `position_s` is due; False when stopped."""
        due_s = self._begin_s() + position_s
        if not self._paced:
            return not self.stopped
        return not self._stopped.wait(max(due_s - time.monotonic(), 0))

    def frame(self, image: Image, index: int, position_s: float) -> Frame:
        """Return a frame of an image recorded `position_s` after the start."""
        now_s = time.monotonic()
        media_time_s = self._begin_s() + position_s
        if not self._paced:  # by the wall clock the recording began with the run, whatever the machine's speed
            return Frame(image, index, now_s, self._start_wall_s + position_s, media_time_s)
        # Read for each frame: the wall clock of a Pi may jump by years at its first NTP reply.
        return Frame(image, index, media_time_s, time.time() - (now_s - media_time_s), media_time_s)

    def _begin_s(self) -> float:
        """Return when the recording's time started: now, if it has not."""
        if self._start_s is None:
            self._start_s, self._start_wall_s = time.monotonic(), time.time()
        return self._start_s
