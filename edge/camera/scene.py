"""Camera `scene`: an endless synthetic hall with known keypoints.

Frame i is a pure function of (seed, i, size, fps), and so is its ground truth; another version of OpenCV may round
some pixels differently.
"""

from edge.camera.opencv import Turner, rotated_size
from edge.camera.pacing import Pacer
from edge.frame import BufferPool, Frame, Image
from edge.scene.scene import Scene
from edge.scene.truth import TruePerson, mirrored, turned

__all__ = ["SceneCamera"]


class SceneCamera:
    """Plays the scene in real time, or every frame once at full speed.

    A late reader gets the newest due frame, as from a camera: the index jumps. A reopen continues the count.

    Args:
        size: (width, height) of the images before rotation.
        fps: frames per second.
        seed: of people, walks and noise.
        paced: False for every frame once, in order.
        rotate: clockwise degrees by which the drawn image is turned: 0, 90, 180 or 270.
        hflip: mirror it left to right, before rotation; the truth, too.
        vflip: mirror it top to bottom, before rotation.
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
        hflip: bool = False,
        vflip: bool = False,
    ) -> None:
        self._scene = Scene(size=size, fps=fps, seed=seed)
        self._rotate = rotate
        self._hflip, self._vflip = hflip, vflip
        self._turner = Turner(hflip=hflip, vflip=vflip, rotate=rotate)
        self._pacer = Pacer(paced=paced)
        self._images = BufferPool()
        self._next_index = 0
        self._first_index = 0  # since it was opened

    def open(self) -> None:
        """Start the scene's time, or continue it."""
        self._first_index = self._next_index
        self._pacer.start()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames, after rotation."""
        return rotated_size(self._scene.size, self._rotate)

    def read(self) -> Frame | None:
        """Wait for the next due frame; None after an interrupt.

        Frames whose time has passed are skipped.
        """
        while not self._pacer.stopped and self._pacer.is_late(self._position_s(self._next_index + 1)):
            self._next_index += 1
        if self._pacer.stopped:
            return None
        index = self._next_index
        image = self._draw(index)  # in advance: a camera's picture exists at its capture time
        if not self._pacer.wait(self._position_s(index)):
            return None
        self._next_index = index + 1
        return self._pacer.frame(image, index, self._position_s(index))

    def interrupt(self) -> None:
        """End a wait in `read`, from another thread."""
        self._pacer.stop()

    def is_back(self) -> bool:
        """Return False: the scene is never away."""
        return False

    def close(self) -> None:
        """Do nothing: no resource is held open."""

    def truth(self, index: int) -> tuple[TruePerson, ...]:
        """Return the ground truth of frame `index`, in coordinates of the delivered image."""
        return tuple(
            turned(mirrored(person, hflip=self._hflip, vflip=self._vflip), self._rotate)
            for person in self._scene.truth(index)
        )

    def _position_s(self, index: int) -> float:
        return (index - self._first_index) / self._scene.fps

    def _draw(self, index: int) -> Image:
        width, height = self._scene.size
        image = self._images.take((height, width, 3))
        self._scene.paint(index, image)
        return self._turner.turn(image)
