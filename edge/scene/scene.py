"""The synthetic hall as images, with their ground truth."""

import cv2
import numpy as np

from edge.frame import Image
from edge.scene.backdrop import NOISE_ROWS, paint_backdrop, sensor_noise
from edge.scene.cast import Cast, Hall
from edge.scene.person import Person, paint_person, place_person
from edge.scene.pinhole import Pinhole
from edge.scene.shadow import paint_shadow
from edge.scene.skeleton import joints
from edge.scene.truth import TruePerson, true_people

__all__ = ["Scene"]

NOISE_STEP = 37
"""Rows that the sensor noise moves per frame; odd, so that every offset occurs."""


class Scene:
    """A hall in perspective with four to six people in view.

    Three or four of them are near, half of the image high and more; the others walk about at the far wall. They
    stand, wave, walk and turn, enter and leave at the sides. Nine times a minute two of the near ones pass in front
    of each other (see `walks`). Mostly five or six are there, and never fewer than four. Drawing costs the same at any
    index.

    Args:
        size: (width, height) of the images in pixels.
        fps: frames per second of the scene's time.
        seed: of people, walks and noise.
        cast: other people than the hall's visitors.
        backdrop: another background than the hall, RGB uint8 of `size`.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int] = (1280, 720),
        fps: float = 25.0,
        seed: int = 0,
        cast: Cast | None = None,
        backdrop: Image | None = None,
    ) -> None:
        self.size = size
        self.fps = fps
        self._view = Pinhole(size)
        self._cast = cast or Hall(seed, self._view.spread)
        self._backdrop = paint_backdrop(self._view, seed) if backdrop is None else backdrop
        self._noise = sensor_noise(size, seed)

    def draw(self, index: int, out: Image | None = None) -> tuple[Image, tuple[TruePerson, ...]]:
        """Draw frame `index` (0, 1, ...) and return it with its ground truth.

        Args:
            index: of the frame.
            out: where to draw, RGB uint8 (height, width, 3); None for a new image.
        """
        image = np.empty_like(self._backdrop) if out is None else out
        people = self._people(index)
        self._paint(image, people, index)
        return image, true_people(people, self.size)

    def paint(self, index: int, out: Image) -> None:
        """Draw frame `index` into `out`, RGB uint8 (height, width, 3)."""
        self._paint(out, self._people(index), index)

    def truth(self, index: int) -> tuple[TruePerson, ...]:
        """Return the ground truth of frame `index` without drawing it."""
        return true_people(self._people(index), self.size)

    def _people(self, index: int) -> list[tuple[int, Person]]:
        """Return a frame's people with their ids, the farthest first."""
        view = self._view
        placed = [
            (person_id, place_person(look, tubes, joints(look.build, stance), view))
            for person_id, look, tubes, stance in self._cast.at(index / self.fps)
        ]
        return sorted(placed, key=lambda person: -float(person[1].z_m[17]))

    def _paint(self, image: Image, people: list[tuple[int, Person]], index: int) -> None:
        np.copyto(image, self._backdrop)
        for _, person in people:
            paint_shadow(image, person.xy_px, person.px_per_m)
        for _, person in people:
            paint_person(image, person)
            _soften(image, person.box_px)
        row = index * NOISE_STEP % NOISE_ROWS
        cv2.add(image, self._noise[row : row + len(image)], dst=image)


def _soften(image: Image, box_px: tuple[float, float, float, float]) -> None:
    """Blur the drawn part slightly, as a lens does: it smooths the polygons' edges."""
    left, top, right, bottom = (max(0, int(side) + out) for side, out in zip(box_px, (-2, -2, 3, 3), strict=True))
    part = image[top:bottom, left:right]
    if part.size:
        cv2.GaussianBlur(part, (3, 3), 0, dst=part)
