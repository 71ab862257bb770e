import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.stats import Rate, Rolling


def test_percentiles_of_nothing_are_none() -> None:
    assert Rolling().p50 is None
    assert Rolling().p95 is None


def test_percentiles_of_one_value_are_that_value() -> None:
    values = Rolling()
    values.add(41.5)
    assert (values.p50, values.p95) == (41.5, 41.5)


def test_percentiles_lie_between_the_values() -> None:
    values = Rolling()
    for value in range(101):
        values.add(value)
    assert values.p50 == pytest.approx(50)
    assert values.p95 == pytest.approx(95)
    assert values.percentile(100) == pytest.approx(100)


def test_only_the_last_values_count() -> None:
    values = Rolling(capacity=3)
    for value in (900.0, 800.0, 1.0, 2.0, 3.0):
        values.add(value)
    assert values.percentile(100) == 3.0
    assert values.p50 == 2.0


def test_a_value_that_is_no_number_is_ignored() -> None:
    values = Rolling()
    for value in (float("nan"), 7.0, float("inf")):
        values.add(value)
    assert values.p95 == 7.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.integers(1, 12), st.floats(0, 100))
def test_a_percentile_stays_in_the_range_of_the_last_values(
    numbers: list[float], capacity: int, percent: float
) -> None:
    values = Rolling(capacity)
    for number in numbers:
        values.add(number)
    last = numbers[-capacity:]
    result = values.percentile(percent)
    assert result is not None
    assert min(last) - 1e-6 <= result <= max(last) + 1e-6


def test_nothing_and_a_single_event_have_no_rate() -> None:
    rate = Rate()
    assert rate.per_second(10.0) == 0.0
    rate.add(10.0)
    assert rate.per_second(10.0) == 0.0


def test_the_rate_of_steady_events_is_exact_from_the_second_event_on() -> None:
    rate = Rate(window_s=2.0)
    for index in range(200):
        rate.add(50.0 + index / 25)
        if index:
            assert rate.per_second(50.0 + index / 25) == pytest.approx(25.0)


def test_the_rate_follows_a_change_within_the_window() -> None:
    rate = Rate(window_s=2.0)
    for index in range(100):
        rate.add(index / 30)
    start = 99 / 30
    for index in range(1, 16):
        rate.add(start + index / 5)
    assert rate.per_second(start + 3.0) == pytest.approx(5.0)


def test_the_rate_sinks_while_nothing_happens_and_ends_at_zero() -> None:
    rate = Rate(window_s=2.0)
    for index in range(11):
        rate.add(index / 10)
    assert rate.per_second(1.0) == pytest.approx(10.0)
    assert rate.per_second(2.0) == pytest.approx(5.0)
    assert rate.per_second(3.1) == 0.0


def test_events_before_the_window_are_forgotten_even_if_nobody_asks() -> None:
    rate = Rate(window_s=2.0)
    for index in range(1000):
        rate.add(index / 10)
    assert len(rate._times_s) <= 21


def test_events_at_one_instant_have_no_rate() -> None:
    rate = Rate()
    rate.add(4.0)
    rate.add(4.0)
    assert rate.per_second(4.0) == 0.0


def test_a_clock_that_steps_back_starts_the_window_anew() -> None:
    rate = Rate(window_s=2.0)
    for time_s in (100.0, 100.1, 3.0, 3.5):
        rate.add(time_s)
    assert rate.per_second(3.5) == pytest.approx(2.0)
