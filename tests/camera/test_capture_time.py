"""When a picture was taken: by its stamp, if that can be."""

import pytest

from edge.camera.capture_time import capture_time_s


def test_a_picture_was_taken_when_its_stamp_says() -> None:
    assert capture_time_s(99.95, 99.91, 100.0) == 99.95


@pytest.mark.parametrize("stamp_s", [None, 0.0, 1_769_860_800.0, 100.001, 89.9, 99.91, 99.5])
def test_a_picture_without_a_stamp_or_with_that_of_another_clock_was_taken_now(stamp_s: float | None) -> None:
    assert capture_time_s(stamp_s, 99.91, 100.0) == 100.0
