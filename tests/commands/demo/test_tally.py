"""What the demo says that it measured."""

from edge.commands.demo.tally import Tally
from fake_fleet import other, poses


def test_people_are_counted_per_message_and_the_newest_message_names_the_model() -> None:
    tally = Tally()
    tally.take(poses(3, 5, 8))
    tally.take(other(poses(3), model="small"))
    assert (tally.messages, tally.people) == (2, 4)
    assert tally.summary().startswith("2 messages, 0 s, ")
    assert tally.summary().endswith(" ms, 2.0 people per frame (small)")


def test_the_picture_is_of_the_last_message_with_the_most_people_who_have_an_id() -> None:
    tally = Tally()
    for ids, seq in (((3,), 7), ((3, 5), 9), ((4, 6), 10), ((5,), 12)):
        tally.take(poses(*ids, seq=seq))
    assert tally.fullest is not None
    assert tally.fullest.seq == 10


def test_nothing_measured_is_said_without_dividing_by_zero() -> None:
    assert Tally().summary() == "0 messages, 0 s, 0.0 fps, latency p50 0 p95 0 ms, 0.0 people per frame"
