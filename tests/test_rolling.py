import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.rolling import Rolling


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
