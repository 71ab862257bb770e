"""What a run says of itself, in a line."""

import time

import pytest

from builders import result
from edge.agent.progress import Progress, undelivered
from edge.agent.sink_threads import DirectSink


class Output:
    """A sink that drops some of its results."""

    blocks = False
    wants_image = False

    def __init__(self, name: str, *, drops: int = 0) -> None:
        self.name, self.dropped = name, drops

    def open(self) -> None: ...

    def write(self, result: object) -> None: ...

    def close(self) -> None: ...


def used(name: str, *, count: int, drops: int = 0) -> DirectSink:
    sink = DirectSink(Output(name, drops=drops))  # type: ignore[arg-type]
    for _ in range(count):
        sink.offer(result())
    return sink


def progress(*people: int) -> Progress:
    found = Progress()
    for count in people:
        found.add(count)
    return found


def test_the_summary_has_frames_people_and_what_each_output_took() -> None:
    line = progress(1, 3, 2).summary([used("mqtt", count=3, drops=1), used("jsonl", count=3)], 0, is_paced_file=True)
    assert line == "3 frames in 0 s, at most 3 people at once; messages or frames delivered: mqtt 2, jsonl 3"


@pytest.mark.parametrize(
    ("is_paced_file", "words"),
    [
        (True, "2 of 7 frames (too slow for its pace: --no-pace takes every frame) in 0 s, nobody was found"),
        (False, "2 of 7 frames in 0 s, nobody was found"),
    ],
)
def test_skipped_frames_of_a_file_are_told_with_what_to_do(is_paced_file: bool, words: str) -> None:
    assert progress(0, 0).summary([], 5, is_paced_file=is_paced_file).startswith(words)


def test_a_line_is_due_every_ten_seconds_in_which_something_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, *[101.0] * 60])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    found = progress(*[2] * 50)
    assert found.due_line(109.9) == ""
    assert found.due_line(110.0) == "5.0 fps, 2 people now"
    assert found.due_line(119.0) == ""
    assert found.due_line(120.0) == ""  # nothing since


def test_nothing_was_delivered_only_if_there_was_something_to_deliver() -> None:
    lost, kept = used("mqtt", count=3, drops=3), used("jsonl", count=3)
    assert undelivered(progress(1, 1, 1), [lost]) == "mqtt"
    assert undelivered(progress(1, 1, 1), [lost, kept]) == ""
    assert undelivered(progress(), [lost]) == ""
