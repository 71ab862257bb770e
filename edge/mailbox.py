"""One-slot mailbox between two threads; the newest item wins."""

import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Mailbox"]

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Hands items from one thread to another.

    Args:
        waits: False: a new item replaces one that was not taken, which counts as dropped. True (`--no-pace`):
            `put` blocks until the last item was taken, so every item arrives.

    Attributes:
        dropped: number of items that were replaced before they were taken.
    """

    def __init__(self, *, waits: bool = False) -> None:
        self._waits = waits
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self._waiting = False
        self.dropped = 0

    @property
    def is_awaited(self) -> bool:
        """Whether an item put now is taken: `put` waits for that, or a thread waits in `get`."""
        return self._waits or self._waiting

    def put(self, item: T) -> bool:
        """Put an item; return False if the mailbox is closed."""
        with self._changed:
            if self._waits:
                self._changed.wait_for(lambda: self._item is None or self._closed)
            if self._closed:
                return False
            if self._item is not None:
                self.dropped += 1
            self._item, self._waiting = item, False
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float | None = None) -> T | None:
        """Wait for an item; None on timeout or if closed and empty."""
        with self._changed:
            self._waiting = self._item is None
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            self._waiting = False
            item, self._item = self._item, None
            self._changed.notify_all()
            return item

    def __iter__(self) -> Iterator[T]:
        """Yield items until the mailbox is closed.

        The generator drops its reference before the next item, so that buffers are free early.
        """
        while (item := self.get()) is not None:
            yield item
            del item

    def close(self) -> None:
        """Refuse further items and wake blocked threads.

        The last item can still be taken.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
