"""Progress of downloads: a bar on terminals, else two lines."""

import shutil
from typing import TextIO

from edge.download.transfer import Progress

__all__ = ["ConsoleProgress", "bar"]

REDRAW_S = 0.1
FACTS_COLUMNS = len("100%  99.9/99.9 MB  99.9 MB/s  99:59")
MIN_BAR_COLUMNS = 12
MAX_BAR_COLUMNS = 30
MIN_ELAPSED_S = 0.5
"""A speed over less time than this is noise."""


class ConsoleProgress:
    """Progress callback that writes to a stream.

    A terminal gets a bar that is redrawn, anything else one line at the start and one at the end.

    Args:
        stream: usually stderr.
        columns: width of the terminal; None: its current width.
    """

    def __init__(self, stream: TextIO, *, columns: int | None = None) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._columns = columns
        self._started = ""
        self._drawn_s = float("-inf")

    def __call__(self, progress: Progress) -> None:
        """Show the progress, at most every 0.1 s."""
        if self._is_terminal:
            self._draw(progress)
        elif progress.state == "done":
            seconds = progress.elapsed_s
            self._stream.write(f"{progress.name}: {_megabytes(progress.done_bytes)} fetched in {seconds:.1f} s\n")
        elif progress.state == "running" and self._started != progress.name:
            self._stream.write(_beginning(progress))
        self._started = progress.name
        self._stream.flush()

    def _draw(self, progress: Progress) -> None:
        first, last = progress.new_bytes == 0, progress.state != "running"
        if not (first or last) and progress.elapsed_s - self._drawn_s < REDRAW_S:
            return
        self._drawn_s = progress.elapsed_s
        columns = self._columns or shutil.get_terminal_size().columns
        # The last column stays free: some terminals wrap when it is written to. The end of the line is cleared.
        self._stream.write(f"\r{bar(progress, columns - 1)}\x1b[K" + ("\n" if last else ""))


def bar(progress: Progress, columns: int) -> str:
    """Return a progress line of at most `columns` characters.

    It has the name, a bar, per cent, MB, MB/s and the remaining time.
    """
    facts = _facts(progress)
    if not progress.total_bytes:
        return f"{progress.name}  {facts}"[:columns]
    room = columns - FACTS_COLUMNS - len("  []  ")
    name = _shortened(progress.name, max(room - MIN_BAR_COLUMNS, MIN_BAR_COLUMNS))
    length = max(min(room - len(name), MAX_BAR_COLUMNS), 0)
    full = int(progress.done_bytes / progress.total_bytes * length)
    return f"{name}  [{'#' * full}{'.' * (length - full)}]  {facts}"[:columns]


def _facts(progress: Progress) -> str:
    done, total, speed = progress.done_bytes, progress.total_bytes, _speed(progress)
    rate = f"  {speed / 1e6:.1f} MB/s" if speed else ""
    if progress.state == "broken":
        rate = "  broken off"
    if not total:
        return _megabytes(done) + rate
    left = f"  {_duration((total - done) / speed)}" if speed and progress.state == "running" else ""
    return f"{done / total:4.0%}  {done / 1e6:.1f}/{_megabytes(total)}{rate}{left}"


def _shortened(name: str, columns: int) -> str:
    """Cut off the start of a long name: names of models differ at the end."""
    return name if len(name) <= columns else f"…{name[1 - columns :]}"


def _beginning(progress: Progress) -> str:
    size = "" if progress.total_bytes is None else f" {_megabytes(progress.total_bytes)}"
    rest = f", going on after {_megabytes(progress.done_bytes)}" if progress.done_bytes else ""
    return f"{progress.name}: fetching{size}{rest}\n"


def _speed(progress: Progress) -> float:
    """Return bytes per second of this connection; 0 while unknown."""
    if progress.elapsed_s < MIN_ELAPSED_S and progress.state == "running":
        return 0.0
    return progress.new_bytes / max(progress.elapsed_s, 1e-3)


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
