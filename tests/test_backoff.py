"""Waits between attempts."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.backoff import Backoff


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_every_wait_is_between_the_shortest_and_the_longest(draws: list[float]) -> None:
    numbers = iter(draws)
    backoff = Backoff(min_s=1, max_s=60, draw=lambda: next(numbers))
    assert all(1 <= backoff.next_s() <= 60 for _ in draws)


def test_waits_grow_up_to_the_longest() -> None:
    backoff = Backoff(min_s=1, max_s=60, draw=lambda: 0.7)
    waits = [backoff.next_s() for _ in range(12)]
    assert all(later >= earlier for earlier, later in pairwise(waits))
    assert waits[0] < 2
    assert waits[-1] > 50


def test_two_agents_do_not_wait_equally_long() -> None:
    assert Backoff().next_s() != Backoff().next_s()


def test_years_of_failures_do_not_overflow() -> None:
    backoff = Backoff(draw=lambda: 1.0)
    assert [backoff.next_s() for _ in range(5000)][-1] == 60


def test_a_reset_starts_again_at_the_shortest() -> None:
    backoff = Backoff(min_s=1, draw=lambda: 0.0)
    assert backoff.longest_s() == 30
    backoff.reset()
    assert backoff.next_s() == 1


def test_without_jitter_the_waits_are_a_geometric_series_up_to_the_longest() -> None:
    backoff = Backoff(min_s=0.5, max_s=30, growth=2, draw=None)
    assert [backoff.next_s() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next_s() == 0.5
