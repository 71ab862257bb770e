"""Notices a camera that shows one picture for ever: a real one has noise in it, so no two pictures are the same."""

from edge.camera.stuck import is_same_picture
from edge.frame import Image

__all__ = ["StillWatch"]


class StillWatch:
    """Looks at every picture of a camera; holds on to the last one.

    Args:
        max_still_s: one picture for so long means that the camera is frozen.
    """

    def __init__(self, max_still_s: float) -> None:
        self._max_still_s = max_still_s
        self._last: Image | None = None
        self._since_s: float | None = None
        self._frozen: Image | None = None  # the picture that it was stuck at

    def start(self) -> None:
        """Begin anew after a reopen, which by itself is no sign of life: the picture it was stuck at stays known."""
        self._last, self._since_s = None, None

    def look(self, image: Image, now_s: float) -> str:
        """Return what is wrong, or nothing.

        Args:
            image: (H, W, 3), not written again by anybody.
            now_s: the monotonic clock.
        """
        if is_same_picture(image, self._frozen):
            return "still shows the same picture"
        last, self._last, self._frozen = self._last, image, None
        if not is_same_picture(image, last):
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        elif now_s - self._since_s >= self._max_still_s:
            self._frozen = image
            return f"is frozen: one picture for {self._max_still_s:g} s"
        return ""
