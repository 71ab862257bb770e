"""A delegate in place of the Edge TPU's, compiled here, and a tiny model compiled for it."""

import functools
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as tfl

from tiny_models import echo_model

SOURCE = Path(__file__).parent / "doubles/delegate.c"
COMPILER = shutil.which("cc") or shutil.which("gcc")

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler")


ENTRY = """
[{name}]
file = "{name}.tflite"
sha256 = "{digest}"
kind = "multipose"
licence = "none"
"""


class Double:
    """A delegate in a folder of its own, and what it is told to do from the next step on.

    Args:
        folder: that gets the library, under the name by which the product looks for it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.library = folder / "libedgetpu.so.1"
        self.library.write_bytes(_compiled())

    def tell(self, word: str = "") -> None:
        """Say one of the words that are explained in delegate.c; none: work well."""
        new = self.folder / "new"
        new.write_text(word)
        new.replace(self.folder / "told")  # never half a word

    @property
    def hangs(self) -> bool:
        """True once somebody hangs in it."""
        return (self.folder / "hangs").exists()


@functools.cache
def _compiled() -> bytes:
    assert COMPILER is not None
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "double.so"
        subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)
        return library.read_bytes()


def compiled_model(path: Path, *, height: int = 32, width: int = 64) -> Path:
    """Write a MultiPose model whose one operator only the Edge TPU's delegate knows.

    With the double it gives what `tiny_models.echo_model` gives.
    """
    model, graph = tfl.ModelT(), tfl.SubGraphT()
    model.version, model.buffers, model.subgraphs = 3, [tfl.BufferT()], [graph]
    code = tfl.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = tfl.BuiltinOperator.CUSTOM
    code.customCode, code.version = "edgetpu-custom-op", 1
    model.operatorCodes = [code]
    step = tfl.OperatorT()
    step.opcodeIndex, step.inputs, step.outputs = 0, [0], [1]
    graph.tensors = [
        _tensor("image", tfl.TensorType.UINT8, [1, height, width, 3]),
        _tensor("rows", tfl.TensorType.FLOAT32, [1, 6, 56]),
    ]
    graph.operators, graph.inputs, graph.outputs = [step], [0], [1]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def write_tpu_mirror(folder: Path) -> None:
    """Write a mirror with the models `own-edgetpu` and `own`, its twin for the CPU, both of 96x64."""
    compiled_model(folder / "own-edgetpu.tflite", height=64, width=96)
    echo_model(folder / "own.tflite", height=64, width=96)
    digests = {
        name: hashlib.sha256((folder / f"{name}.tflite").read_bytes()).hexdigest() for name in ("own-edgetpu", "own")
    }
    text = "".join(ENTRY.format(name=name, digest=digest) for name, digest in digests.items())
    (folder / "models.toml").write_text(text.replace("[own]", 'delegate = "edgetpu"\ncpu_twin = "own"\n[own]'))


def _tensor(name: str, kind: int, shape: list[int]) -> tfl.TensorT:
    tensor = tfl.TensorT()
    tensor.name, tensor.type, tensor.shape, tensor.buffer = name, kind, shape, 0
    return tensor
