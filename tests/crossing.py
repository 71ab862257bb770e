"""A scene of exactly two people who walk past each other, for the tests of whose id is whose."""

from edge.camera.scene import SceneCamera
from edge.scene import walks
from edge.scene.cast import Actor
from edge.scene.person import tailor
from edge.scene.pinhole import Pinhole
from edge.scene.scene import Scene
from edge.scene.wardrobe import dress

WALK_S, REST_S = 5.0, 1.5
"""Walking time from one side to the other, then the pause before the way back."""
HALF_ROUND_S = walks._SWAY_S
"""Idle movement has this period too, so a round repeats without a jump."""


class Crossing:
    """Two people who walk past each other, stop, and walk back, without end: a crossing every 6.5 s."""

    def __init__(self, seed: int, spread: float) -> None:
        looks = [dress((seed, 100 + person, 0)) for person in (0, 1)]
        self._people = [(look, tailor(look), _visit(person, spread)) for person, look in enumerate(looks)]

    def at(self, time_s: float) -> list[Actor]:
        """Return both people at a time (s, not negative)."""
        return [
            (person + 1, look, tubes, visit.stance(time_s % visit.duration_s))
            for person, (look, tubes, visit) in enumerate(self._people)
        ]


def crossing_scene(*, size: tuple[int, int] = (1280, 720), fps: float = 25.0, seed: int = 0) -> Scene:
    """Return a scene of two people, ids 1 and 2, who start apart, cross and have parted after 6 s.

    They turn then and cross again, every 6.5 s; both stay in the image all the time.
    """
    return Scene(size=size, fps=fps, seed=seed, cast=Crossing(seed, Pinhole(size).spread))


def crossing_camera(seed: int) -> SceneCamera:
    """Return a camera, not paced, that looks at the crossing scene."""
    camera = SceneCamera(paced=False)
    camera._scene = crossing_scene(seed=seed)
    return camera


def _visit(person: int, spread: float) -> walks.Visit:
    """Plan one round: over, a short stop, and back."""
    z_m, side = ((4.6, -1.0), (5.8, 1.0))[person]
    x_m = min(3.0, 0.62 * spread * z_m)
    route = walks._Route([(0.0, side * x_m, z_m, 0.0)], [(0.0, 0)])
    route.rest(REST_S / 2, 0.0, 0)
    route.walk(-side * x_m, z_m, WALK_S)
    route.rest(HALF_ROUND_S + REST_S / 2, 0.0, 0)
    route.walk(side * x_m, z_m, WALK_S)
    route.rest(2 * HALF_ROUND_S, 0.0, 0)
    return walks._sample(route, (0.2, 1 / HALF_ROUND_S))
