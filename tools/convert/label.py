"""Names inputs and outputs of a converted file, and writes its notes."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge import __version__
from edge.errors import UnavailableError
from edge.tflite.file import TfliteModel, load
from edge.tflite.notes import SCALED, Affine, Decode, Notes, Source
from tools.convert.graph.frozen import INPUT, Quantization

__all__ = ["POSES_NAME", "label_heads", "label_whole", "signature_outputs"]

POSES_NAME = "output_0"
"""Name of the published model's output."""
TOOL = f"edge-pose {__version__} convert"


def label_heads(
    path: Path,
    outputs: Mapping[str, int],
    *,
    quantization: Quantization,
    source: Source,
    affine: Mapping[str, Affine] | None = None,
    decode: Decode | msgspec.UnsetType = msgspec.UNSET,
) -> None:
    """Name the maps of `path` like the heads, and write its notes.

    Args:
        path: a TFLite file, rewritten as a whole.
        outputs: tensor index by head, in canonical order.
        quantization: how it is quantized.
        source: what it was made from.
        affine: heads that were rescaled.
        decode: constants of the decode, where they are not the published ones.
    """
    affine = affine or {}
    model = load(path)
    named = {f"{head}{SCALED if head in affine else ''}": tensor for head, tensor in outputs.items()}
    _finish(model, named)
    for place, head in zip(model.tree.signatureDefs[0].outputs, outputs, strict=True):
        place.name = head.encode()
    model.set_notes(
        Notes(
            kind="heads",
            heads=tuple(outputs),
            affine=dict(affine),
            quantization=quantization,
            source=source,
            tool=TOOL,
            decode=decode,
        )
    )
    model.save(path)


def label_whole(path: Path, *, quantization: Quantization, source: Source) -> None:
    """Name input and output of a whole model, and write its notes."""
    model = load(path)
    _finish(model, {POSES_NAME: int(model.graph.outputs[0])})
    model.set_notes(Notes(kind="multipose", quantization=quantization, source=source, tool=TOOL))
    model.save(path)


def signature_outputs(model: TfliteModel) -> dict[str, int]:
    """Return the tensor of every output in the file's signature.

    Raises:
        UnavailableError: it has none.
    """
    if not model.tree.signatureDefs:
        raise UnavailableError(
            "TensorFlow wrote no signature, as when TMPDIR is full: make room, or name another folder in TMPDIR"
        )
    return {place.name.decode(): int(place.tensorIndex) for place in model.tree.signatureDefs[0].outputs}


def _finish(model: TfliteModel, outputs: Mapping[str, int]) -> None:
    tensor = int(model.graph.inputs[0])
    _name_plainly(model)
    model.rename(tensor, INPUT)
    model.cut(inputs={INPUT: tensor}, outputs=outputs)


def _name_plainly(model: TfliteModel) -> None:
    """Name every tensor after its operator, the same every time.

    TensorFlow's own names count its functions per process.
    """
    for number in range(len(model.graph.tensors)):
        model.rename(number, f"constant_{number}")
    for place, op in enumerate(model.graph.operators):
        for tensor in op.outputs:
            model.rename(int(tensor), f"{model.op_name(op).lower()}_{place}")
