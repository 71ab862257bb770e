"""Progress bars on a terminal (tqdm); nothing into a pipe."""

from tqdm import tqdm

__all__ = ["ProgressBar"]


class ProgressBar:
    """A callback (done, total, label) that draws a bar.

    Another label or total begins another bar.

    Args:
        label: for calls without one.
    """

    def __init__(self, label: str = "") -> None:
        self._label = label
        self._bar: tqdm[None] | None = None
        self._key = ("", 0)

    def __call__(self, done: int, total: int, label: str = "") -> None:
        """Show that `done` of `total` is done."""
        key = (label or self._label, total)
        if self._bar is None or self._key != key:
            self.close()
            self._bar, self._key = tqdm(desc=key[0] or None, total=total, disable=None), key
        self._bar.update(done - self._bar.n)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Leave the bar's line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
