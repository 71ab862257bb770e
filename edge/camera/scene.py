"""Camera `scene`: synthetic people with known keypoints, drawn by our own code, for ever.

Frame i is a pure function of (seed, i, size, fps): whoever knows these can draw it again and knows the truth about it
(of the pixels, another version of OpenCV may round some differently).
"""

import numpy as np

from edge.camera.opencv import rotated_size
from edge.camera.pacing import Pacer
from edge.frame import BufferPool, Frame, Image
from edge.poses.model_input import rotate_into
from edge.scene.scene import Scene
from edge.scene.truth import TruePerson, turned

__all__ = ["SceneCamera"]


class SceneCamera:
    """The scene as a camera: by its own clock, or every frame once, as fast as it is read.

    A late reader gets the newest frame that is due, as from a camera: the index jumps. Opened again, it counts on.

    Args:
        size: (width, height) of the images before rotation.
        fps: frames per second.
        seed: another seed is another day.
        paced: False for every frame once, in order.
        rotate: clockwise degrees by which the drawn image is turned: 0, 90, 180 or 270.
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
    ) -> None:
        self._scene = Scene(size=size, fps=fps, seed=seed)
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
        return rotated_size(self._scene.size, self._rotate)

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
