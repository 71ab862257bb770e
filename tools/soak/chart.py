"""Chart of a soak: memory, faults and recoveries over time."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tools.plot import new_figure
from tools.soak.record import Record

__all__ = ["COLOURS", "draw"]

SIZE = (1280, 800)
AGENT, ENGINE, LIMIT = "#145ab4", "#969696", "#787878"
COLOURS = {"broker": "#c82828", "camera": "#288c28", "engine": "#a03cc8"}


def draw(record: Record) -> Figure:
    """Return the chart, 1280 x 800 pixels, over minutes.

    Memory in MB above, recoveries in seconds below.
    """
    figure = new_figure(SIZE)
    memory, recoveries = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _draw_memory(memory, record)
    _draw_recoveries(recoveries, record)
    end_s = max([sample.time_s for sample in record.samples], default=60.0)
    recoveries.set(xlim=(0, end_s / 60), xlabel="minutes")
    for axes in (memory, recoveries):
        axes.grid(color="#e1e1e1")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_memory(axes: Axes, record: Record) -> None:
    minutes = [sample.time_s / 60 for sample in record.samples]
    agent = [sample.rss_bytes / 1e6 for sample in record.samples]
    # NaN leaves a gap while there is no engine.
    engine = [(sample.engine_rss_bytes or float("nan")) / 1e6 for sample in record.samples]
    axes.plot(minutes, engine, color=ENGINE, label="engine's process")
    axes.plot(minutes, agent, color=AGENT, label="agent")
    for kind in record.kinds:
        for number, fault in enumerate(fault for fault in record.faults if fault.kind == kind):
            label = None if number else f"{kind} lost"
            axes.axvline(fault.time_s / 60, color=COLOURS[kind], alpha=0.45, linewidth=1, label=label)
    axes.set(ylabel="memory, MB", ylim=(0, None))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=5, frameon=False)


def _draw_recoveries(axes: Axes, record: Record) -> None:
    limit_s = record.plan.max_recovery_s
    top_s = 1.2 * max([fault.recovery_s or 0.0 for fault in record.faults] + [limit_s])
    axes.axhline(limit_s, color=LIMIT, linewidth=2)
    for fault in record.faults:
        height_s = top_s if fault.recovery_s is None else fault.recovery_s
        axes.vlines(fault.time_s / 60, 0, height_s, color=COLOURS[fault.kind], linewidth=2)
        axes.plot(fault.time_s / 60, height_s, "o", color=COLOURS[fault.kind], clip_on=False)
    axes.set(ylabel="poses back after, s", ylim=(0, top_s))
