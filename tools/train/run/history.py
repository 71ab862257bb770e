"""The log of a training: JSON lines with mean losses."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.errors import UnavailableError
from edge.host.atomic_write import write_whole

__all__ = ["History", "Row"]

Row = dict[str, float]
"""`step`, the mean loss since the row before (`loss` and one for every head), `rate`, `pictures_per_s`."""
DIGITS = 5


class History:
    """The rows of a training, in a file of JSON lines.

    Args:
        path: the file; rows in it after `step`, and a line that was cut off, are dropped.
        step: from which the training goes on.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.rows = [row for row in _read(path) if row["step"] <= step]
        self._sums: Row = {}
        self._count = 0

    def add(self, losses: Mapping[str, float]) -> None:
        """Take the losses of one step."""
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    @property
    def is_empty(self) -> bool:
        """True where no step was taken since the last row."""
        return self._count == 0

    def end_row(self, step: int, **more: float) -> Row:
        """Make a row of the means since the last one."""
        row = {"step": step} | {name: value / self._count for name, value in self._sums.items()} | more
        self.rows.append(
            {name: value if name == "step" else float(f"{value:.{DIGITS}g}") for name, value in row.items()}
        )
        self._sums, self._count = {}, 0
        return self.rows[-1]

    def write(self) -> None:
        """Write the file whole. Raises UnavailableError."""
        write_whole(self.path, "".join(f"{json.dumps(row)}\n" for row in self.rows).encode())


def _read(path: Path) -> list[Row]:
    """Return the valid rows of a file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnavailableError(f"{path}: the log cannot be read: {error.strerror}: name another --output") from error
    return [row for row in map(_parse, lines) if row is not None]


def _parse(line: str) -> Row | None:
    try:
        row: Any = json.loads(line)
        return row if isinstance(row["step"], int) and isinstance(row["loss"], float | int) else None
    except (ValueError, KeyError, TypeError):
        return None
