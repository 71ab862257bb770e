"""Camera `scene`: synthetic people with known keypoints, drawn by our own code, for ever.

Frame i is a pure function of (seed, i, size, fps): whoever knows these can draw it again and knows the truth about it
(of the pixels, another version of OpenCV may round some differently).
"""

import cv2
import numpy as np

from edge.camera.backdrop import NOISE_ROWS, paint_backdrop, sensor_noise
from edge.camera.cast import Cast, Crossing, Hall
from edge.camera.figure import Figure, paint_figure, place_figure
from edge.camera.pacing import Pacer
from edge.camera.shadow import paint_shadow
from edge.camera.skeleton import joints
from edge.camera.truth import TruePerson, true_people, turned
from edge.camera.view import View
from edge.frame import BufferPool, Frame, Image
from edge.poses.model_input import rotate_into

__all__ = ["Scene", "SceneCamera", "TruePerson"]

NOISE_STEP = 37
"""Rows that the sensor noise moves per frame; odd, so that all its places come in turn."""


class Scene:
    """A hall with a floor in perspective where five or six people, and never fewer than four, are in view.

    Three or four of them are near, half of the image high and more; the others walk about at the far wall. They
    stand, wave, walk and turn, come in and leave at the sides. Nine times a minute two of the near ones pass in
    front of each other (see `walks`). Drawing costs the same at any index.

    Args:
        size: (width, height) of the images in pixels.
        fps: frames per second of the scene's own time.
        seed: another seed is another day in the hall.
        cast: who is there instead of the hall's visitors.
        backdrop: what is behind them instead of the hall, RGB uint8 of `size`.
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
        self._view = View(size)
        self._cast = cast or Hall(seed, self._view.spread)
        self._backdrop = paint_backdrop(self._view, seed) if backdrop is None else backdrop
        self._noise = sensor_noise(size, seed)

    @classmethod
    def crossing(cls, *, size: tuple[int, int] = (1280, 720), fps: float = 25.0, seed: int = 0) -> "Scene":
        """Return a world of exactly two people, ids 1 and 2, who start apart, cross and have parted after 6 s.

        They turn then and cross again, every 6.5 s; both stay in the image all the time.
        """
        return cls(size=size, fps=fps, seed=seed, cast=Crossing(seed, View(size).spread))

    def draw(self, index: int, out: Image | None = None) -> tuple[Image, tuple[TruePerson, ...]]:
        """Draw frame `index` (0, 1, ...) into `out`, RGB uint8 (height, width, 3), and say what is true of it."""
        image = np.empty_like(self._backdrop) if out is None else out
        figures = self._figures(index)
        self._paint(image, figures, index)
        return image, true_people(figures, self.size)

    def paint(self, index: int, out: Image) -> None:
        """Draw frame `index` into `out`."""
        self._paint(out, self._figures(index), index)

    def truth(self, index: int) -> tuple[TruePerson, ...]:
        """Say what is true of frame `index` without drawing it."""
        return true_people(self._figures(index), self.size)

    def _figures(self, index: int) -> list[tuple[int, Figure]]:
        """Return the people of a frame with their ids, the farthest first."""
        view = self._view
        placed = [
            (person_id, place_figure(look, tubes, joints(look.build, stance), view))
            for person_id, look, tubes, stance in self._cast.at(index / self.fps)
        ]
        return sorted(placed, key=lambda person: -float(person[1].z_m[17]))

    def _paint(self, image: Image, figures: list[tuple[int, Figure]], index: int) -> None:
        np.copyto(image, self._backdrop)
        for _, figure in figures:
            paint_shadow(image, figure.xy_px, figure.px_per_m)
        for _, figure in figures:
            paint_figure(image, figure)
            _soften(image, figure.box_px)
        row = index * NOISE_STEP % NOISE_ROWS
        cv2.add(image, self._noise[row : row + len(image)], dst=image)


def _soften(image: Image, box_px: tuple[float, float, float, float]) -> None:
    """Blur what was drawn as little as a lens does: it takes the steps from the polygons' edges."""
    left, top, right, bottom = (max(0, int(side) + out) for side, out in zip(box_px, (-2, -2, 3, 3), strict=True))
    part = image[top:bottom, left:right]
    if part.size:
        cv2.GaussianBlur(part, (3, 3), 0, dst=part)


class SceneCamera:
    """The scene as a camera: by its own clock, or every frame once, as fast as it is read.

    A late reader gets the newest frame that is due, as from a camera: the index jumps. Opened again, it counts on.

    Args:
        size: (width, height) of the images before rotation.
        fps: frames per second.
        seed: another seed is another day.
        paced: False for every frame once, in order.
        rotate: clockwise degrees by which the drawn image is turned: 0, 90, 180 or 270.
        scene: what to draw instead of the hall; its `size` and `fps` count then.
    """

    name = "scene"
    live = False

    def __init__(
        self,
        *,
        size: tuple[int, int] = (1280, 720),
        fps: float = 25.0,
        seed: int = 0,
        paced: bool = True,
        rotate: int = 0,
        scene: Scene | None = None,
    ) -> None:
        self._scene = scene or Scene(size=size, fps=fps, seed=seed)
        self._rotate = rotate
        self._pacer = Pacer(paced=paced)
        self._images = BufferPool()
        self._upright = np.empty(self._shape(self._scene.size), np.uint8) if rotate else None
        self._next_index = 0
        self._first_index = 0  # since it was opened

    def open(self) -> None:
        """Let the scene's time begin, or go on."""
        self._first_index = self._next_index
        self._pacer.start()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames, after rotation."""
        width, height = self._scene.size
        return (height, width) if self._rotate in (90, 270) else (width, height)

    def read(self) -> Frame | None:
        """Wait for the next frame, leaving out those whose time has passed; None once it is interrupted."""
        while not self._pacer.stopped and self._pacer.is_late(self._position_s(self._next_index + 1)):
            self._next_index += 1
        if self._pacer.stopped:
            return None
        index = self._next_index
        image = self._draw(index)  # before its time has come: a camera's picture is there at its capture time
        if not self._pacer.wait(self._position_s(index)):
            return None
        self._next_index = index + 1
        return self._pacer.frame(image, index, self._position_s(index))

    def interrupt(self) -> None:
        """End a wait in `read`, from another thread."""
        self._pacer.stop()

    def is_back(self) -> bool:
        """The scene is never away."""
        return False

    def close(self) -> None:
        """Nothing is held open between two frames."""

    def truth(self, index: int) -> tuple[TruePerson, ...]:
        """Say what is true of the frame with this index, in coordinates of the delivered image."""
        return tuple(turned(person, self._rotate) for person in self._scene.truth(index))

    def _position_s(self, index: int) -> float:
        return (index - self._first_index) / self._scene.fps

    def _draw(self, index: int) -> Image:
        image = self._images.take(self._shape(self.size))
        if self._upright is None:
            self._scene.paint(index, image)
        else:
            self._scene.paint(index, self._upright)
            rotate_into(self._upright, self._rotate, image)
        return image

    @staticmethod
    def _shape(size: tuple[int, int]) -> tuple[int, int, int]:
        return size[1], size[0], 3
