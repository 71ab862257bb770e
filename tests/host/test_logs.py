"""What log lines look like, and what never stands in them."""

import io
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from edge.host.logs import Repeats, goes_to_journal, say, set_up

log = logging.getLogger("edge.hall")

PHRASE = "geheim"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put back what `set_up` changes for the whole process."""
    root, hook = logging.getLogger(), threading.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], threading.excepthook = handlers, hook
    root.setLevel(level)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[TextIO]:
    """A file that stands for the journal's socket, and is named as systemd names that."""
    with (tmp_path / "journal").open("w+") as file:
        yield file


def named(stream: TextIO) -> dict[str, str]:
    status = os.fstat(stream.fileno())
    return {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}


def lines_of(stream: TextIO) -> list[str]:
    stream.flush()
    stream.seek(0)
    return stream.read().splitlines()


def fail_with(error: Exception) -> None:
    """Log an error with its traceback."""

    def fail() -> None:
        raise error

    try:
        fail()
    except Exception:
        log.exception("failed")


def plain(*, debug: bool = False, now: Callable[[], float] | None = None) -> io.StringIO:
    stream = io.StringIO()
    set_up(debug=debug, stream=stream, environ={}, now=now or Clock())
    return stream


def test_outside_systemd_a_line_is_the_message() -> None:
    stream = plain()
    log.warning("broker %s gone", "hall.local")
    log.debug("nothing")
    assert lines_of(stream) == ["broker hall.local gone"]


def test_debug_shows_time_level_and_origin() -> None:
    stream = plain(debug=True)
    log.debug("detail")
    (line,) = lines_of(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} DEBUG edge\.hall: detail", line)


def test_under_systemd_lines_begin_with_their_priority_and_have_no_time(journal: TextIO) -> None:
    set_up(stream=journal, environ=named(journal))
    for level in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO):
        log.log(level, "level %d", level)
    assert lines_of(journal) == ["<2>level 50", "<3>level 40", "<4>level 30", "<6>level 20"]


def test_under_systemd_debug_adds_the_origin_only(journal: TextIO) -> None:
    set_up(debug=True, stream=journal, environ=named(journal))
    log.debug("detail")
    assert lines_of(journal) == ["<7>edge.hall: detail"]


def test_under_systemd_every_line_of_a_traceback_has_the_priority(journal: TextIO) -> None:
    set_up(stream=journal, environ=named(journal))
    fail_with(ValueError("no good"))
    lines = lines_of(journal)
    assert lines[0] == "<3>failed"
    assert lines[-1] == "<3>ValueError: no good"
    assert all(line.startswith("<3>") for line in lines)


def test_only_the_stream_that_systemd_names_is_the_journal(journal: TextIO, tmp_path: Path) -> None:
    assert goes_to_journal(journal, named(journal))
    assert not goes_to_journal(journal, {})
    assert not goes_to_journal(io.StringIO(), named(journal))
    with (tmp_path / "redirected").open("w") as other:
        assert not goes_to_journal(other, named(journal))
    assert not goes_to_journal(other, named(journal))  # closed


@pytest.mark.parametrize(
    "text",
    [
        f"rtsp://admin:{PHRASE}@cam.local/1",
        f"http://cam.local/user=admin&password={PHRASE}",
        f"settings: password='{PHRASE}'",
        f"{{'username': 'hall', 'password': '{PHRASE}'}}",
        f'{{"password":"{PHRASE}","port":8883}}',
    ],
)
def test_secrets_are_masked_in_messages_arguments_errors_and_last_words(text: str) -> None:
    stream = plain()
    log.warning(text)
    log.warning("camera %s gone", text)
    fail_with(OSError(text))
    say(text)
    written = stream.getvalue()
    assert PHRASE not in written
    assert written.count("***") == 4


def test_what_is_no_secret_is_not_masked() -> None:
    stream = plain()
    text = "mqtt.password_file: cannot read /etc/secret: Permission denied"
    log.warning(text)
    assert lines_of(stream) == [text]


def test_repeated_lines_are_counted_instead_of_written() -> None:
    clock = Clock()
    stream = plain(now=clock)
    for _ in range(42):
        log.warning("camera %s: no frame", "hall")
    log.warning("camera %s: no frame", "yard")
    clock.now_s += 61
    log.info("broker back")
    passed = ["camera hall: no frame"] * 5 + ["camera yard: no frame"]
    assert lines_of(stream) == [*passed, "camera hall: no frame (repeated 37 times)", "broker back"]


def test_the_count_keeps_the_level_of_what_it_counts(journal: TextIO) -> None:
    clock = Clock()
    set_up(stream=journal, environ=named(journal), now=clock)
    for _ in range(6):
        log.error("no good")
    clock.now_s += 60
    log.info("other")
    assert lines_of(journal)[-2:] == ["<3>no good (repeated 1 time)", "<6>other"]


def test_a_text_is_written_again_after_its_minute() -> None:
    clock = Clock()
    stream = plain(now=clock)
    for _ in range(30):
        log.warning("late")
        clock.now_s += 20
    assert lines_of(stream) == ["late"] * 30


def test_suppressed_records_are_summarized_at_the_end() -> None:
    stream = plain()
    for _ in range(8):
        log.warning("late")
    logging.getLogger().handlers[0].close()
    assert lines_of(stream)[-1] == "late (repeated 3 times)"


def test_debug_records_are_never_held_back() -> None:
    stream = plain(debug=True)
    for _ in range(20):
        log.debug("late")
    assert len(lines_of(stream)) == 20


def test_endless_different_texts_cost_no_memory_beyond_a_bound() -> None:
    repeats = Repeats()
    for number in range(5000):
        record = logging.LogRecord("edge", logging.WARNING, "", 0, "number %d", (number,), None)
        assert repeats.admit(record, 1000.0)
    assert len(repeats._counts) <= 1000


def test_a_thread_that_fails_is_logged_like_everything_else(journal: TextIO) -> None:
    set_up(stream=journal, environ=named(journal))

    def fail() -> None:
        raise ValueError(f"rtsp://admin:{PHRASE}@cam")

    thread = threading.Thread(target=fail, name="flow")
    thread.start()
    thread.join()
    lines = lines_of(journal)
    assert lines[0] == "<3>thread flow failed"
    assert lines[-1] == "<3>ValueError: rtsp://***@cam"


def test_last_words_are_bare_even_in_debug_and_never_held_back(journal: TextIO) -> None:
    stream = plain(debug=True)
    for _ in range(9):
        say("edge-pose: no such file")
    assert lines_of(stream) == ["edge-pose: no such file"] * 9
    set_up(debug=True, stream=journal, environ=named(journal))
    say("two\nlines")
    say("warned", logging.WARNING)
    assert lines_of(journal) == ["<3>two", "<3>lines", "<4>warned"]


class Gone(io.StringIO):
    """A stream whose reader has closed it."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(text)


def test_a_final_message_without_a_reader_is_no_error() -> None:
    set_up(stream=Gone(), environ={})
    say("into the void")


@pytest.mark.parametrize("journal", [False, True])
@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("\x1b]0;owned\x07\x1b[2J", "\\x1b]0;owned\\x07\\x1b[2J"),
        ("a.jpg\nbroker 10.0.0.1:1883 connected", "a.jpg\\nbroker 10.0.0.1:1883 connected"),
        ("a\r\tb\x7f\x00\u2028", "a\\r\\tb\\x7f\\x00\\u2028"),
        ("\u202egpj.evil", "\\u202egpj.evil"),
        ("Größe 你好 …", "Größe 你好 …"),
    ],
)
def test_no_foreign_text_controls_a_terminal_or_begins_a_line(
    foreign: str, shown: str, journal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.host.logs.goes_to_journal", lambda *_: journal)
    stream = io.StringIO()
    set_up(stream=stream)
    log.warning("%s: cannot be read", foreign)
    say(f"edge-pose: {foreign}".replace("\n", " "))
    first, *others = stream.getvalue().splitlines()
    assert first == f"{'<4>' if journal else ''}{shown}: cannot be read"
    assert len(others) == 1
    assert others[0].isprintable()
