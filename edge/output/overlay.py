"""Draws results for recordings and snapshots: image or black, skeletons, texts."""

import unicodedata

import cv2

from edge.frame import Image
from edge.payload import Origin, utc
from edge.ports import PoseFrame
from edge.poses.drawing import Colours, draw_poses, draw_text_lines

__all__ = ["Overlay"]


class Overlay:
    """Draws results as BGR pictures for an encoder.

    Args:
        origin: names the device and the camera.
        private: black instead of the camera image, which is not read then.
    """

    def __init__(self, origin: Origin, *, private: bool) -> None:
        self._title = _ascii(f"{origin.device} / {origin.camera}")
        self._private = private
        self._colours = Colours().reversed()

    def draw(self, result: PoseFrame, fps: float | None, out: Image) -> None:
        """Draw a result into `out`, overwriting all of it.

        Args:
            result: what to draw.
            fps: for the text; None if unknown.
            out: BGR uint8 (H, W, 3) of the frame's size.
        """
        if self._private:
            out[:] = 0
        else:
            cv2.cvtColor(result.frame.image, cv2.COLOR_RGB2BGR, dst=out)
        draw_poses(out, result.poses, colours=self._colours)
        draw_text_lines(out, self._lines(result, fps))

    def _lines(self, result: PoseFrame, fps: float | None) -> list[str]:
        people = f"{len(result.poses)} {'person' if len(result.poses) == 1 else 'people'}"
        time = utc(result.frame.wall_time_s)[:21].replace("T", " ")  # tenths of a second
        return [self._title, f"{time} UTC", people if fps is None else f"{fps:.1f} fps, {people}"]


def _ascii(text: str) -> str:
    """Return text for the font: without accents, `?` for other scripts."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return plain.encode("ascii", "replace").decode()
