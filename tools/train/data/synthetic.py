"""Pictures of the synthetic scene, in halls and on other backdrops."""

from functools import lru_cache

import cv2
import numpy as np

from edge.frame import Image
from edge.poses.pose import KEYPOINTS
from edge.scene.scene import Scene
from tools.train.data.picture import Floats, Picture

__all__ = ["MAX_FRAMES", "SceneSource"]

SIZES = ((512, 288), (400, 300), (336, 336), (288, 400))
SECONDS = 600
FPS = 25
MAX_FRAMES = 2400
"""As many as fit into 1 GB: a frame takes longer to draw than to learn from, so they are kept."""
FRAMES_PER_SCENE = 12
OTHER_BACKDROPS = 0.6
"""Share of scenes on other backdrops than the hall."""
MIN_SEEN = 0.3
"""People who show less are ignored."""


class SceneSource:
    """Frames of many scenes with their keypoints, cached once drawn.

    Args:
        frames: how many different ones there are.
        seed: of the first scene; the scene of the product's tests has seed 0, which is never among them.
    """

    name = "scene"

    def __init__(self, *, frames: int = MAX_FRAMES, seed: int = 1000) -> None:
        self._count, self._seed = frames, seed
        self._scene = lru_cache(maxsize=4)(make_scene)
        self._frames: dict[int, Picture] = {}

    def picture(self, rng: np.random.Generator) -> Picture:
        """Return a frame."""
        number = int(rng.integers(self._count))
        if number not in self._frames:
            # Its neighbours share the scene, whose people take longest to make.
            first = number // FRAMES_PER_SCENE * FRAMES_PER_SCENE
            for each in range(first, min(first + FRAMES_PER_SCENE, self._count)):
                self._frames[each] = self._draw(each)
        return self._frames[number]

    def _draw(self, number: int) -> Picture:
        seed = self._seed + number // FRAMES_PER_SCENE
        scene = self._scene(seed)
        index = int(np.random.default_rng((seed, number)).integers(SECONDS * FPS))
        image, truth = scene.draw(index)
        people, boxes, ignored = [], [], []
        for person in truth:
            size = np.array([*scene.size, 1], np.float32)
            box = person.box_xyxy * np.tile(size[:2], 2)
            if person.visible_fraction >= MIN_SEEN:
                people.append(person.keypoints * size)
                boxes.append(box)
            else:
                ignored.append(box)
        known = _stack(people, (KEYPOINTS, 3)), _stack(boxes, (4,)), _stack(ignored, (4,))
        return Picture(image, *known, f"scene {seed}, frame {index}")


def make_scene(seed: int) -> Scene:
    """Return the scene of a seed."""
    rng = np.random.default_rng((seed, 17))
    size = SIZES[rng.integers(len(SIZES))]
    backdrop = paint_other(size, rng) if rng.random() < OTHER_BACKDROPS else None
    return Scene(size=size, fps=FPS, seed=seed, backdrop=backdrop)


def paint_other(size: tuple[int, int], rng: np.random.Generator) -> Image:
    """Paint a backdrop of colour clouds, edges and boxes.

    RGB uint8 (height, width, 3).
    """
    width, height = size
    coarse = rng.uniform(20, 235, (int(rng.integers(2, 9)), int(rng.integers(2, 9)), 3)).astype(np.float32)
    image = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC if rng.random() < 0.6 else cv2.INTER_NEAREST)
    for _ in range(int(rng.integers(0, 40))):
        corner = rng.uniform(-0.1, 1, 2) * size
        sides = np.exp(rng.uniform(np.log(0.02), np.log(0.5), 2)) * size
        colour = rng.uniform(0, 255, 3).tolist()
        box = cv2.RotatedRect(corner.tolist(), sides.tolist(), float(rng.choice([0, 0, 90, rng.uniform(0, 180)])))
        cv2.fillConvexPoly(image, np.rint(box.points()).astype(np.int32), colour, cv2.LINE_AA)
    image = image + rng.normal(0, rng.uniform(0, 12), (height, width, 1)).astype(np.float32)
    blurred = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.0))
    return np.clip(blurred, 0, 255).astype(np.uint8)


def _stack(rows: list[Floats], shape: tuple[int, ...]) -> Floats:
    return np.array(rows, np.float32).reshape(-1, *shape)
