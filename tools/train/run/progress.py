"""Progress of a training: a bar (tqdm), or lines in a pipe."""

from typing import TextIO

from tqdm import tqdm

__all__ = ["Bar", "shown_time"]

WIDTH = 24
REDRAW_S = 0.2


class Bar:
    """Shows steps, loss and the time that is left.

    Args:
        stream: where to, as a rule stderr.
        first: step at the start.
        steps: in all.
        size: pictures in a batch.
        time_s: now.
    """

    def __init__(self, stream: TextIO, *, first: int, steps: int, size: int, time_s: float) -> None:
        self._stream, self._first, self._steps, self._size = stream, first, steps, size
        self._begun_s = time_s
        self._step = first
        self._loss: float | None = None
        self._is_terminal = stream.isatty()
        self._bar: tqdm[None] = tqdm(
            total=steps,
            initial=first,
            file=stream,
            disable=not self._is_terminal,
            bar_format=f"[{{bar:{WIDTH}}}] {{desc}}",
            ascii=" #",
            mininterval=REDRAW_S,
        )

    def step(self, step: int, loss: float, time_s: float) -> None:
        """Record a step's loss; redraw a terminal's bar at most every REDRAW_S."""
        # One loss is noise; the mean of about the last twenty shows the trend.
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        self._step = step
        if self._is_terminal:
            self._bar.set_description_str(self._text(time_s), refresh=False)
            self._bar.update(step - self._bar.n)

    def pictures_per_s(self, time_s: float) -> float:
        """Return the mean since the start."""
        return (self._step - self._first) * self._size / max(time_s - self._begun_s, 1e-9)

    def line(self, time_s: float) -> None:
        """Print the state as a line, unless a bar is drawn."""
        if not self._is_terminal:
            print(f"train: {self._text(time_s)}", file=self._stream, flush=True)

    def end(self) -> None:
        """Leave the bar's line."""
        self._bar.close()

    def _text(self, time_s: float) -> str:
        per_s = self.pictures_per_s(time_s)
        left_s = (self._steps - self._step) * self._size / per_s if per_s else 0
        return (
            f"step {self._step}/{self._steps}, loss {self._loss:.3g}, {per_s:.3g} pictures/s, {shown_time(left_s)} left"
        )


def shown_time(seconds: float) -> str:
    """Format a time: `98 s`, `83 min`, `5 h 33 min`."""
    minutes = round(seconds / 60)
    if seconds < 99:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 99 else f"{minutes // 60} h {minutes % 60} min"
