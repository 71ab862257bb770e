"""The camera's thread: opens, reads, reopens a lost camera."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge.backoff import Backoff
from edge.errors import CameraLostError
from edge.frame import Frame
from edge.mailbox import Mailbox
from edge.ports import Camera
from edge.poses.model_input import ModelInput

__all__ = ["CameraThread", "CameraWatcher", "Captured"]

log = logging.getLogger(__name__)

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
POLL_S = 0.2
"""Poll interval while a camera is lost; reopening must take less than 1 s."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame on its way to the flow, and its model input if that was made ahead."""

    frame: Frame
    ahead: ModelInput | None = None


class CameraWatcher(Protocol):
    """Gets the camera's state; called on the camera's thread."""

    def camera_up(self) -> None:
        """The camera is open: frames can be expected."""

    def camera_lost(self, reason: str) -> None:
        """The camera is lost: no frames until `camera_up`."""


class CameraThread:
    """Reads a camera until it ends or `stop` is called, then closes the mailbox.

    Args:
        camera: opened, read and closed on this thread alone.
        frames: gets the frames; holds the newest.
        prepare: makes a frame's model input ahead, or returns None; not called for a frame that may be dropped.
        watcher: called when the camera is lost, and when it is open again.
        retry_s: shortest and longest wait before a lost camera is opened again.
    """

    def __init__(
        self,
        camera: Camera,
        frames: Mailbox[Captured],
        prepare: Callable[[Frame], ModelInput | None],
        watcher: CameraWatcher,
        *,
        retry_s: tuple[float, float] = (FIRST_RETRY_S, LAST_RETRY_S),
    ) -> None:
        self._camera = camera
        self._frames = frames
        self._prepare = prepare
        self._watcher = watcher
        self._backoff = Backoff(min_s=retry_s[0], max_s=retry_s[1], growth=2, draw=None)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._next_index = 0
        self.skipped = 0  # frames that the camera dropped
        self.error: BaseException | None = None
        self.reading_since_s: float | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Request the end; interrupts a wait for a frame or for a retry."""
        self._stopping.set()
        self._frames.close()
        self._camera.interrupt()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False if it hangs in the driver."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._read_until_end()
        except Exception as error:  # noqa: BLE001 - raised again by the main thread
            self.error = error
        finally:
            self._frames.close()
            self._camera.close()

    def _read_until_end(self) -> None:
        while not self._stopping.is_set():
            try:
                self._open()
                while self._read_one():
                    self._backoff.reset()
            except CameraLostError as error:
                retry_s = self._backoff.next_s()
                self._lost(str(error), retry_s)
                if self._wait_until_back(retry_s):
                    self._backoff.reset()
            else:
                return

    def _open(self) -> None:
        self.reading_since_s = time.monotonic()
        self._camera.open()
        self._watcher.camera_up()

    def _read_one(self) -> bool:
        self.reading_since_s = time.monotonic()
        frame = self._camera.read()
        self.reading_since_s = None
        if frame is None or self._stopping.is_set():
            return False
        self.skipped += frame.index - self._next_index
        self._next_index = frame.index + 1
        # Here the image is in this core's cache. While the flow is busy, a newer frame may replace this one.
        ahead = self._prepare(frame) if self._frames.is_awaited else None
        return self._frames.put(Captured(frame, ahead))

    def _wait_until_back(self, retry_s: float) -> bool:
        """Wait for the next try; return True, early, if the camera is back."""
        deadline_s = time.monotonic() + retry_s
        while (left_s := deadline_s - time.monotonic()) > 0 and not self._stopping.wait(min(left_s, POLL_S)):
            if self._is_back():
                return True
        return False

    def _is_back(self) -> bool:
        self.reading_since_s = time.monotonic()  # a driver may hang in this call, too; the wait itself is no hang
        try:
            return self._camera.is_back()
        except CameraLostError:
            return False
        finally:
            self.reading_since_s = None

    def _lost(self, reason: str, retry_s: float) -> None:
        self.reading_since_s = time.monotonic()  # a driver may hang in this call, too
        self._camera.close()
        self.reading_since_s = None
        if not self._stopping.is_set():
            self._watcher.camera_lost(reason)
            log.debug("camera: %s, next try in %g s", reason, retry_s)
