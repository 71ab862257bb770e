"""Tells in one line how many operators of a file the Edge TPU would take."""

from pathlib import Path

__all__ = ["forecast"]


def forecast(model: Path) -> str:
    """Return one line about the operators on the Edge TPU.

    Of a compiled file as it is; otherwise a forecast.
    """
    from tools.edgetpu.graph import read_graph  # noqa: PLC0415  (needed for int8 only)
    from tools.edgetpu.partition import plan  # noqa: PLC0415  (likewise)

    planned = plan(read_graph(model))
    total = len(planned.places)
    if planned.is_compiled:
        return f"compiled: {planned.partitions} Edge TPU operator, {total - planned.tpu_ops} left for the CPU"
    parts = f"{planned.partitions} partition{'s' if planned.partitions != 1 else ''}"
    return f"{planned.tpu_ops} of {total} operators on it, in {parts} (by Google's rules; python -m tools.edgetpu)"
