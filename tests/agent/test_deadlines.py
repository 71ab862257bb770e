import pytest

from builders import ORIGIN
from edge.agent.deadlines import MAX_BUSY_S, MAX_SILENCE_S, max_silence_s, raise_if_stuck
from edge.errors import StuckError


@pytest.mark.parametrize(
    ("reading_since_s", "busy_since_s", "text"),
    [(100.0, None, "camera .* hangs in its driver"), (None, 100.0, "model .* inference hangs")],
)
def test_a_thread_that_does_not_come_back_ends_the_run_with_75(
    reading_since_s: float | None, busy_since_s: float | None, text: str
) -> None:
    raise_if_stuck(ORIGIN, 100 + MAX_BUSY_S, reading_since_s=reading_since_s, busy_since_s=busy_since_s)
    with pytest.raises(StuckError, match=text) as caught:
        raise_if_stuck(ORIGIN, 100.1 + MAX_BUSY_S, reading_since_s=reading_since_s, busy_since_s=busy_since_s)
    assert caught.value.exit_code == 75


def test_threads_that_are_in_no_driver_hang_in_none() -> None:
    raise_if_stuck(ORIGIN, 1e9, reading_since_s=None, busy_since_s=None)


def test_a_camera_of_one_frame_in_ten_seconds_is_not_silent_between_two() -> None:
    assert max_silence_s(0.1) > 10
    assert max_silence_s(30) == max_silence_s(None) == MAX_SILENCE_S
