"""The progress of a download, on a terminal and elsewhere."""

import io

from edge.download.progress import ConsoleProgress, bar
from edge.download.transfer import Progress

HALF = Progress("own-model", "running", 4_700_000, 3_000_000, 9_400_000, 2.0)
START = Progress("own-model", "running", 0, 0, 9_400_000, 0.0)
DONE = Progress("own-model", "done", 9_400_000, 9_400_000, 9_400_000, 4.0)
BROKEN = Progress("own-model", "broken", 4_700_000, 3_000_000, 9_400_000, 2.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_tells_share_amount_speed_and_time_to_come() -> None:
    assert bar(HALF, 79) == "own-model  [##############..............]   50%  4.7/9.4 MB  1.5 MB/s  0:03"


def test_the_time_to_come_is_in_minutes_and_seconds() -> None:
    slow = Progress("m", "running", 1_000_000, 1_000_000, 9_400_000, 10.0)
    assert bar(slow, 79).endswith("0.1 MB/s  1:24")


def test_a_file_of_untold_size_has_no_bar() -> None:
    assert bar(Progress("m", "running", 3_000_000, 3_000_000, None, 2.0), 79) == "m  3.0 MB  1.5 MB/s"


def test_a_long_name_is_shortened_at_its_beginning_in_favour_of_the_bar() -> None:
    step = Progress("movenet-singlepose-lightning-int8-edgetpu", "running", 4_700_000, 3_000_000, 9_400_000, 2.0)
    assert bar(step, 79) == "…e-lightning-int8-edgetpu  [######......]   50%  4.7/9.4 MB  1.5 MB/s  0:03"


def test_the_bar_keeps_its_length_while_the_figures_change() -> None:
    lines = {
        bar(Progress("m", "running", done, done, 99_000_000, 1.0), 60).index("]") for done in range(1, 10**8, 10**6)
    }
    assert len(lines) == 1


def test_a_speed_is_told_only_once_it_is_known() -> None:
    assert bar(START, 79).endswith("   0%  0.0/9.4 MB")


def test_a_bar_keeps_to_the_width_of_the_terminal() -> None:
    for columns in range(1, 120):
        assert len(bar(HALF, columns)) <= columns


def test_a_terminal_sees_one_line_that_changes() -> None:
    terminal = Terminal()
    show = ConsoleProgress(terminal, columns=80)
    for step in (START, HALF, DONE):
        show(step)
    lines = terminal.getvalue()
    assert lines.count("\r") == 3
    assert lines.count("\n") == 1
    assert lines.endswith("100%  9.4/9.4 MB  2.4 MB/s\x1b[K\n")


def test_a_terminal_is_not_redrawn_for_every_chunk() -> None:
    terminal = Terminal()
    show = ConsoleProgress(terminal, columns=80)
    show(START)
    for number in range(1, 1000):
        show(Progress("m", "running", number, number, 1000, number * 1e-3))
    assert terminal.getvalue().count("\r") <= 11


def test_a_broken_download_ends_its_line() -> None:
    terminal = Terminal()
    ConsoleProgress(terminal, columns=100)(BROKEN)
    assert terminal.getvalue().endswith("4.7/9.4 MB  broken off\x1b[K\n")


def test_a_log_sees_a_line_at_the_start_and_one_at_the_end() -> None:
    log = io.StringIO()
    show = ConsoleProgress(log)
    for step in (START, HALF, BROKEN, HALF, DONE):
        show(step)
    assert log.getvalue() == "own-model: fetching 9.4 MB\nown-model: 9.4 MB fetched in 4.0 s\n"


def test_a_log_tells_that_a_download_goes_on() -> None:
    log = io.StringIO()
    ConsoleProgress(log)(Progress("m", "running", 4_700_000, 0, 9_400_000, 0.0))
    assert log.getvalue() == "m: fetching 9.4 MB, going on after 4.7 MB\n"
