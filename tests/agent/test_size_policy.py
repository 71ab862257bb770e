"""The input's size is the largest that this machine holds, and stays."""

from collections.abc import Callable

import pytest

from edge.agent.size_policy import Decision, Lap, SizePolicy

WIDE = ((448, 256), (320, 192), (256, 160))
AREA = 448 * 256


class Machine:
    """A machine on which a frame takes time in proportion to the input's area, and a camera before it.

    Args:
        large_s: time of a frame at the largest size.
        camera_fps: of the camera.
        min_fps: of the config.
    """

    def __init__(self, large_s: float, *, camera_fps: float = 30.0, min_fps: float = 8.0) -> None:
        self.large_s = large_s
        self.camera_fps = camera_fps
        self.policy = SizePolicy(min_fps)
        self.level = 0
        self.now_s = 1000.0
        self.levels: list[int] = []
        self.said: list[str] = []
        self.busy: Callable[[int], float] = lambda level: (
            self.large_s * (0.05 + 0.95 * WIDE[level][0] * WIDE[level][1] / AREA)
        )

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            index = int(self.now_s * self.camera_fps) + 1  # the next frame; those before it were dropped
            capture_s = index / self.camera_fps
            busy_s = self.busy(self.level)
            self.now_s = capture_s + busy_s
            decision = self.policy.record(Lap(index, capture_s, self.now_s, busy_s), WIDE, self.level)
            if decision is not None:
                self.level = decision.level
                self.said.append(decision.reason)
                self.levels.append(decision.level)


def test_a_fast_machine_keeps_the_largest_size_and_says_so_once() -> None:
    machine = Machine(0.02)
    machine.run(3600)
    assert machine.levels == [0]
    assert machine.said == ["50.0 fps here, model.min_fps is 8"]


def test_the_largest_size_that_holds_is_taken_within_seconds() -> None:
    machine = Machine(0.196)
    machine.run(4)
    assert machine.levels == [1]
    assert machine.said == ["256x448 would give 5.1 fps here, model.min_fps is 8"]
    machine.run(3600)
    assert machine.levels == [1]


def test_a_size_that_cannot_hold_by_its_area_is_not_tried() -> None:
    machine = Machine(0.3)
    machine.run(4)
    assert machine.levels == [2]


def test_a_machine_that_holds_none_has_the_smallest() -> None:
    machine = Machine(3.0)
    machine.run(600)
    assert machine.levels == [2]
    assert len(machine.said) == 1


def test_a_size_that_is_slower_than_its_area_promises_is_left_again() -> None:
    machine = Machine(0.2)
    machine.busy = lambda level: (0.2, 0.19, 0.05)[level]
    machine.run(10)
    assert machine.levels == [1, 2]
    assert machine.said[1] == "192x320 would give 5.3 fps here, model.min_fps is 8"


def test_the_first_inference_does_not_count() -> None:
    machine = Machine(0.02)
    policy = machine.policy
    assert policy.record(Lap(0, 0.0, 5.0, 5.0), WIDE, 0) is None
    machine.run(2)
    assert machine.levels == [0]


@pytest.mark.parametrize("camera_fps", [0.2, 2.0, 5.0])
def test_a_slow_camera_does_not_cost_size(camera_fps: float) -> None:
    machine = Machine(0.18, camera_fps=camera_fps)  # 5.6 fps
    machine.run(3600)
    assert machine.levels == [0]
    assert machine.said == [f"5.6 fps here, the camera gives {camera_fps:.1f}"]


def test_heat_takes_a_step_and_a_short_burst_does_not() -> None:
    machine = Machine(0.1)
    machine.run(100)
    machine.large_s = 0.5
    machine.run(5)
    machine.large_s = 0.1
    machine.run(100)
    assert machine.levels == [0]
    machine.large_s = 0.2
    machine.run(100)
    assert machine.levels == [0, 1]
    assert machine.said[1].startswith("256x448 gave 5.0 fps for 30 s, model.min_fps is 8")


def test_a_start_on_a_busy_machine_is_made_good_after_minutes() -> None:
    machine = Machine(0.3)
    machine.run(20)
    assert machine.levels == [2]
    machine.large_s = 0.05
    machine.run(280)
    assert machine.levels == [2]
    machine.run(2000)
    assert machine.levels == [2, 1, 0]


def test_it_does_not_go_back_and_forth_for_ever() -> None:
    machine = Machine(0.1)
    machine.run(10)
    for _ in range(12 * 24):  # a day of load that comes and goes every five minutes
        machine.large_s = 0.2 if machine.level == 0 else 0.05
        machine.run(300)
    assert len(machine.levels) < 24


def test_no_size_just_below_the_limit_is_left() -> None:
    machine = Machine(0.124)  # 8.06 fps
    machine.run(10)
    machine.large_s = 0.13  # 7.7
    machine.run(600)
    assert machine.levels == [0]


def test_an_engine_of_one_size_is_left_alone_and_one_that_follows_is_measured() -> None:
    policy = SizePolicy(8)
    for index in range(100):
        assert policy.record(Lap(index, index, index, 0.9), WIDE[:1], 0) is None
    made = [policy.record(Lap(index, index / 30, index / 2, 0.5), WIDE, 1) for index in range(100, 110)]
    first = next(each for each in made if each is not None)
    assert first == Decision(2, "192x320 would give 2.0 fps here, model.min_fps is 8")
