"""Chart of the losses of a training."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from tools.plot import new_figure
from tools.train.run.history import Row

__all__ = ["LINES", "draw_curve"]

SIZE = (960, 540)
LINES = {
    "loss": ("#282828", 2.0),
    "center": ("#c82828", 1.0),
    "heatmap": ("#145ac8", 1.0),
    "regression": ("#289628", 1.0),
    "offset": ("#aa32aa", 1.0),
    "soft": ("#be9614", 1.0),
}
"""Colour and width by the row's key."""


def draw_curve(rows: Sequence[Row]) -> Figure:
    """Return the losses over the steps, logarithmic; 960 x 540 pixels."""
    figure = new_figure(SIZE)
    axes = figure.subplots()
    for name, (colour, width) in LINES.items():
        points = [(row["step"], row[name]) for row in rows if row.get(name, 0) > 0]
        if points:
            steps, losses = zip(*points, strict=True)
            # A training that has only begun is a dot.
            axes.plot(
                steps, losses, color=colour, linewidth=width, marker="o", markevery=[-1], markersize=2 + 2 * width
            )
            axes.lines[-1].set_label(f"{name} {losses[-1]:.3g}")
    axes.set(xlabel="steps", yscale="log", xlim=(0, max([row["step"] for row in rows], default=1) * 1.01))
    axes.grid(color="#e1e1e1", which="both")
    axes.set_axisbelow(True)
    if axes.lines:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(axes.lines), frameon=False)
    return figure
