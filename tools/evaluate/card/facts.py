"""Facts about a model, as its file states them."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from edge.tflite.file import TfliteModel, load
from edge.tflite.notes import read_notes
from tools.edgetpu.graph import read_graph
from tools.edgetpu.partition import plan
from tools.edgetpu.report import summary

__all__ = ["facts"]


def facts(path: Path) -> dict[str, Any]:
    """Read a file's size, digest, operators, inputs, outputs and notes.

    Returns:
        `file`, `bytes`, `sha256`, `ops` (count by operator, the most frequent first), `inputs` and `outputs` (`name`,
        `shape`, `dtype`), `notes` (`kind`, `quantization`, `tool`; None without), `edgetpu` (the forecast of
        `python -m tools.edgetpu`).

    Raises:
        InputError: no such file, or no TFLite file.
        ModelError: it is damaged, or of several graphs.
    """
    model = load(path)
    notes = read_notes(path)
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "ops": dict(Counter(model.op_names()).most_common()),
        "inputs": [_tensor(model, int(index)) for index in model.graph.inputs],
        "outputs": [_tensor(model, int(index)) for index in model.graph.outputs],
        "notes": notes and {"kind": notes.kind, "quantization": notes.quantization, "tool": notes.tool},
        "edgetpu": summary(plan(read_graph(path))),
    }


def _tensor(model: TfliteModel, index: int) -> dict[str, Any]:
    return {"name": model.name(index), "shape": list(model.shape(index)), "dtype": model.dtype(index)}
