"""Plans the hall's walks from a seed: no state, so no drift.

The hall has six lanes, one behind the other: four near ones, and two at the far wall, where people are less than a
fifth of the image high. Time goes in rounds of ROUND_S. In each round neighbours of the near lanes change places, two
pairs and one pair in turn, and so pass in front of each other: nine crossings a minute, and all near people meet
within four rounds. In every other round one of the near people leaves and another one enters on the same side.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.scene.skeleton import STRIDE_M, Points, Stance

__all__ = ["LANES_M", "Visit", "hall_visit", "visit_at"]

ROUND_S = 10.0
"""In each round people stand in another place."""
LANES_M = ((3.6, 3.8), (4.0, 4.2), (4.4, 4.6), (4.8, 5.1), (14.6, 15.3), (15.6, 16.4))
"""Near and far edge of each lane: distance from the camera."""
ROUNDS = 8
"""Length of a visit in rounds."""
CHANGES = (3, 1, 5, 7, 0, 4)
"""The round of ROUNDS in which a lane changes its visitor; near people are at the image's edge then."""

_STEP_S = 0.05
_SLOWEST, _FASTEST = 0.7, 1.5  # m/s
_SWAY_S = 6.5  # period of the idle movement
_OUTSIDE_M = 0.75  # this far beyond the image's edge no arm or foot is visible
_TURN_S = 0.9
_ENTER_S = 2.6  # from the round's start to a visitor's entry, when the one before has left
_SPOTS = (-0.8, -0.27, 0.27, 0.8)  # where people of the near lanes stand, in half-widths of the image

# Arms at rest: angles outward, forward, of the elbow (rad); then the direction of the bend: out, up, forward.
_HANG = (0.12, 0.04, 0.22, -0.2, 0.0, 1.0)
_WAVE = (1.45, 0.15, 1.45, -0.1, 1.0, 0.2)
_HAIL = (2.25, 0.10, 0.65, -0.6, 1.0, 0.1)
_ON_HIP = (0.72, -0.15, 1.70, -1.0, -0.3, 0.4)
_PHONE = (0.16, 0.22, 1.85, -0.35, 0.0, 1.0)
_FOLDED = (0.22, 0.38, 1.62, -1.0, 0.05, 0.45)
_POINT = (0.25, 1.25, 0.25, 0.0, 0.0, 1.0)
_GESTURES = (
    (_HANG, _HANG), (_HANG, _HANG), (_WAVE, _HANG), (_HANG, _WAVE), (_HAIL, _HANG), (_HAIL, _HAIL), (_ON_HIP, _ON_HIP),
    (_HANG, _ON_HIP), (_PHONE, _HANG), (_HANG, _PHONE), (_FOLDED, _FOLDED), (_POINT, _HANG),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Visit:
    """A person's place and posture over time, sampled every 0.05 s.

    Attributes:
        places: (T, 5) x, z in metres; heading, stride phase (unwrapped) in radians; walking 0..1.
        arms: (T, 2, 6) arms at rest (see `Stance`).
        gaze: amplitude in radians and frequency in Hz of looking around.
    """

    places: Points
    arms: Points
    gaze: tuple[float, float]

    @property
    def duration_s(self) -> float:
        """Time from entering to having left."""
        return (len(self.places) - 1) * _STEP_S

    def stance(self, time_s: float) -> Stance:
        """Return place and posture `time_s` after the start of the visit."""
        at = min(max(time_s / _STEP_S, 0.0), len(self.places) - 1.001)
        low, part = int(at), at - int(at)
        x_m, z_m, heading, phase, walking = self.places[low] * (1 - part) + self.places[low + 1] * part
        arms = self.arms[low] * (1 - part) + self.arms[low + 1] * part
        raised = np.clip((arms[:, 0] - 1.0) * 2, 0, 1)
        arms[:, 2] += raised * 0.40 * math.sin(2 * math.pi * 1.3 * time_s)
        gaze = (1 - 0.7 * walking) * self.gaze[0] * math.sin(2 * math.pi * self.gaze[1] * time_s)
        return Stance(x_m, z_m, heading, phase, walking, gaze, math.sin(2 * math.pi * time_s / _SWAY_S), arms)


@dataclass(slots=True)
class _Route:
    """A route under construction.

    Attributes:
        knots: (time in s, x, z in m, heading in rad), in order of time.
        arms: (start in s, gesture), in order of time.
    """

    knots: list[tuple[float, float, float, float]]
    arms: list[tuple[float, int]]

    def walk(self, x_m: float, z_m: float, duration_s: float) -> None:
        """Walk to a place in about `duration_s`, within human speeds."""
        time_s, old_x, old_z, _ = self.knots[-1]
        way = math.hypot(x_m - old_x, z_m - old_z)
        speed = min(_FASTEST, max(_SLOWEST, way / duration_s))
        heading = math.atan2(x_m - old_x, old_z - z_m)
        self.knots.append((time_s, old_x, old_z, heading))
        self.knots.append((time_s + way / speed, x_m, z_m, heading))

    def rest(self, until_s: float, turn: float, gesture: int) -> None:
        """Stand until a time, turned by an angle from facing the camera.

        Does nothing when the time is over.
        """
        time_s, x_m, z_m, _ = self.knots[-1]
        heading = turn - math.atan2(x_m, z_m)
        if until_s > time_s:
            self.arms.append((time_s, gesture))
            self.knots.append((time_s, x_m, z_m, heading))
            self.knots.append((until_s, x_m, z_m, heading))


def visit_at(lane: int, time_s: float) -> tuple[int, float]:
    """Return the number of a lane's visit at a time, and its age (s)."""
    number, since_s = divmod(time_s - CHANGES[lane] * ROUND_S - _ENTER_S, ROUNDS * ROUND_S)
    return int(number) + 1, since_s


def hall_visit(seed: int, lane: int, number: int, spread: float) -> Visit:
    """Plan a visit to a lane.

    Args:
        seed: of the scene.
        lane: index in LANES_M.
        number: of the visit to that lane.
        spread: half the image's width per metre of distance.
    """
    rng = np.random.default_rng((seed, lane, number))
    first = CHANGES[lane] + (number - 1) * ROUNDS
    near = lane < len(_SPOTS)
    z_m = rng.uniform(*LANES_M[lane])
    side = math.copysign(1.0, _spot(seed, lane, first))
    route = _Route([(0.0, side * (spread * z_m + _OUTSIDE_M), z_m, 0.0)], [(0.0, 0)])
    for turn in range(first, first + ROUNDS):
        route.rest((turn - first) * ROUND_S - _ENTER_S + _delay_s(seed, lane, turn), *_at_rest(rng, near))
        if turn == first or not near or _spot(seed, lane, turn) != _spot(seed, lane, turn - 1):
            z_m = rng.uniform(*LANES_M[lane])
            x_m = (_spot(seed, lane, turn) + rng.normal(0, 0.02)) * spread * z_m
            route.walk(x_m, z_m, rng.uniform(1.8, 2.4) if near else rng.uniform(4.0, 9.0))
    route.rest(ROUNDS * ROUND_S - _ENTER_S, *_at_rest(rng, near))
    side = math.copysign(1.0, route.knots[-1][1])
    route.walk(side * (spread * z_m + _OUTSIDE_M), z_m, 1.8)
    return _sample(route, (rng.uniform(0.1, 0.45), rng.uniform(0.08, 0.25)))


def _spot(seed: int, lane: int, turn: int) -> float:
    """Return a visitor's place in a round, in half-widths of the image from its middle."""
    if lane >= len(_SPOTS):
        return float(np.random.default_rng((seed, lane, turn % 2**32, 1)).uniform(-0.85, 0.85))
    # Odd-even transposition: after ROUNDS rounds each is back at the first place.
    order = list(range(len(_SPOTS)))
    for done in range(turn % ROUNDS + 1):
        for left in (1,) if done % 2 else (0, 2):
            order[left], order[left + 1] = order[left + 1], order[left]
    return _SPOTS[order.index(lane)]


def _delay_s(seed: int, lane: int, turn: int) -> float:
    """Return the start of a visitor's walk in a round, the same for both who change places."""
    half = _spot(seed, lane, turn) > 0 if lane < len(_SPOTS) and turn % 2 == 0 else lane >= len(_SPOTS)
    return float(np.random.default_rng((seed, 50 + half, turn % 2**32)).uniform(0.0, 3.5))


def _at_rest(rng: np.random.Generator, near: bool) -> tuple[float, int]:
    """Return a random turn from the camera in radians, and a gesture."""
    turned_away = math.pi if rng.random() < 0.08 else 0.0
    return rng.normal(0, 0.35) + turned_away, int(rng.integers(len(_GESTURES))) if near else 0


def _sample(route: _Route, gaze: tuple[float, float]) -> Visit:
    """Sample a route; moving averages round corners, starts and turns."""
    knots = np.array(route.knots)  # (K, [time, x, z, heading])
    knots[0, 3] = knots[1, 3]  # enters walking
    times = np.arange(0, knots[-1, 0] + _STEP_S, _STEP_S)
    x_m = _smooth(np.interp(times, knots[:, 0], knots[:, 1]), 0.5)
    z_m = _smooth(np.interp(times, knots[:, 0], knots[:, 2]), 0.5)
    # The last of several knots at one time counts: the turn happens there.
    latest = np.searchsorted(knots[:, 0], times, "right") - 1
    heading = _smooth(_smooth(np.unwrap(knots[latest, 3]), _TURN_S), _TURN_S / 2)
    speed = np.hypot(np.gradient(x_m, _STEP_S), np.gradient(z_m, _STEP_S))
    phase = np.cumsum(speed) * _STEP_S * 2 * math.pi / (STRIDE_M * 1.72)
    walking = _smooth(np.clip(speed / 0.8, 0, 1), 0.3)
    at = np.searchsorted([start for start, _ in route.arms], times, "right") - 1
    poses = np.array(_GESTURES)[np.array([gesture for _, gesture in route.arms])[at]]  # (T, 2, 6)
    arms = np.apply_along_axis(_smooth, 0, poses.reshape(len(times), 12), 0.8).reshape(-1, 2, 6)
    return Visit(np.stack([x_m, z_m, heading, phase, walking], 1), arms, gaze)


def _smooth(values: NDArray[np.float64], window_s: float) -> NDArray[np.float64]:
    """Return the moving average over a window; the ends are held."""
    half = max(1, round(window_s / _STEP_S / 2))
    kernel = np.full(2 * half + 1, 1 / (2 * half + 1))
    return np.convolve(np.pad(values, half, mode="edge"), kernel, "valid")
