"""From a picture's change to its line: each change is matched with the line that shows it, however late it comes."""

import pytest

from command import PROJECT, use_tool
from tools.costs.change_to_line import delays_ms
from tools.costs.mjpeg_camera import MARK_PX, pictures


def test_a_change_is_seen_in_the_first_line_that_shows_it() -> None:
    changes = [(1.0, True), (2.0, False)]
    lines = [(0.9, False), (0.99, False), (1.02, True), (1.06, True), (2.01, True), (2.05, False), (2.09, False)]
    assert delays_ms(changes, lines) == pytest.approx([20, 50])


def test_lines_that_fall_behind_by_more_than_a_change_are_not_taken_for_quick_ones() -> None:
    changes = [(1.0, True), (2.0, False), (3.0, True)]
    lines = [(0.5, False), (2.5, True), (3.4, False), (4.3, True)]
    assert delays_ms(changes, lines) == pytest.approx([1500, 1400, 1300])


def test_a_change_that_no_line_shows_is_left_out() -> None:
    assert delays_ms([(1.0, True), (2.0, False)], [(0.5, False), (1.1, True)]) == pytest.approx([100])
    assert delays_ms([(1.0, True)], []) == []


def test_the_two_pictures_differ_by_their_people_and_the_mark() -> None:
    empty, crowded = pictures()
    assert empty.shape == crowded.shape == (720, 1280, 3)
    assert empty[:MARK_PX, :MARK_PX].max() == 0
    assert crowded[:MARK_PX, :MARK_PX].min() == 255
    assert (empty != crowded).any(axis=2).mean() > 0.02


def test_the_loop_and_the_agent_are_measured() -> None:
    done = use_tool(
        "costs.change_to_line", "--model", PROJECT / "models/starter.tflite", "--seconds", "5", "--rounds", "1"
    )
    assert done.code == 0, done.err
    head, *rows = done.out.splitlines()
    assert head.split()[-3:] == ["p50", "p90", "changes"]
    assert [row[:9] for row in rows] == ["bare loop", "edge-pose"]
    for row in rows:
        p50, p90, changes = (float(value) for value in row.split()[-3:])
        assert 0 < p50 <= p90
        assert changes >= 1
