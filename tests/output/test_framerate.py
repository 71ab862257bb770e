from collections.abc import Sequence

import pytest

from edge.output.framerate import FrameRate


def measured(*times_s: float, indices: Sequence[int] = range(100)) -> FrameRate:
    rate = FrameRate()
    for index, time_s in zip(indices, times_s, strict=False):
        rate.add(index, time_s)
    return rate


@pytest.mark.parametrize("fps", [5, 12.5, 24, 25, 30000 / 1001, 60])
def test_a_steady_source_keeps_its_own_rate(fps: float) -> None:
    assert measured(*(7 + i / fps for i in range(20))).constant_fps == pytest.approx(fps, abs=0.005)


def test_times_rounded_to_hundredths_of_a_second_give_a_whole_rate() -> None:
    """A GIF of 15 fps says 0.07, 0.13, 0.2, 0.27, ..."""
    assert measured(*(round(i / 15, 2) for i in range(10))).constant_fps == 15


def test_jitter_of_a_live_camera_gives_a_whole_rate() -> None:
    jitter_s = (0.0, 0.004, -0.005, 0.002, -0.001, 0.003, -0.004, 0.0, 0.005, -0.002)
    assert measured(*(5 + i / 30 + late for i, late in enumerate(jitter_s))).constant_fps == 30


def test_drops_lower_the_mean_and_not_the_rate_of_the_source() -> None:
    kept = [1, 3, 6, 8, 11, 13, 16, 18, 21]  # every second or third
    rate = measured(*(index / 29.97 for index in kept), indices=kept)
    assert rate.constant_fps == pytest.approx(29.97)
    assert rate.mean_fps == pytest.approx(29.97 * 8 / 20)


def test_the_time_a_camera_was_away_is_left_out() -> None:
    assert measured(*(i / 20 if i < 9 else 4 + i / 20 for i in range(20))).constant_fps == 20


def test_nothing_is_known_before_the_second_frame_or_after_time_went_back() -> None:
    for rate in (measured(), measured(3.0), measured(3.0, 3.1, 0.5)):
        assert rate.constant_fps is None
        assert rate.mean_fps is None


@pytest.mark.parametrize(("period_s", "fps"), [(20.0, 1), (0.0001, 120)])
def test_files_have_at_least_one_and_at_most_120_frames_per_second(period_s: float, fps: float) -> None:
    assert measured(*(i * period_s for i in range(5))).constant_fps == fps
