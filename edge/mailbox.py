"""The mailbox between two threads: room for one, and the newest wins."""

import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Mailbox"]

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Hands items from one thread to another.

    Args:
        waits: False: a new item replaces one that was not taken, which counts as dropped. True (`--no-pace`):
            `put` waits until the last item was taken, so every item arrives.
    """

    def __init__(self, *, waits: bool = False) -> None:
        self._waits = waits
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self.dropped = 0

    def put(self, item: T) -> bool:
        """Leave an item; False when the mailbox is closed."""
        with self._changed:
            if self._waits:
                self._changed.wait_for(lambda: self._item is None or self._closed)
            if self._closed:
                return False
            if self._item is not None:
                self.dropped += 1
            self._item = item
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float | None = None) -> T | None:
        """Wait for an item; None once the mailbox is closed and empty, or without one after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            self._changed.notify_all()
            return item

    def __iter__(self) -> Iterator[T]:
        """Yield items until the mailbox is closed; the reader holds no reference to one it is done with."""
        while (item := self.get()) is not None:
            yield item
            del item

    def close(self) -> None:
        """Let no more in; what waits inside can still be taken, and everybody who waits goes on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
