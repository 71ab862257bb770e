"""Google's compiler is run where it is installed, what it says is kept, and the notes survive it."""

import stat
import sys
from pathlib import Path

import pytest

from data import model, needs_models
from edge.errors import ModelError, UnavailableError
from edge.tflite.edgetpu_compiler import compile_for_edgetpu, find_compiler
from edge.tflite.file import load
from edge.tflite.notes import Notes, Source, read_notes
from tools.convert.forecast import forecast

pytestmark = needs_models

# What coral.ai/docs/edgetpu/compiler says about the compiler: its flags, and the names of what it writes.
COMPILER = """\
#!{python}
import pathlib, sys
options, source = sys.argv[1:4], pathlib.Path(sys.argv[4])
assert len(sys.argv) == 5 and options[0] == "-s" and options[1] == "-o"
folder = pathlib.Path(options[2])
print("Edge TPU Compiler version 16.0.384591198")
{body}
"""
SUCCEEDS = """\
(folder / (source.stem + "_edgetpu.tflite")).write_bytes(pathlib.Path({compiled!r}).read_bytes())
(folder / (source.stem + "_edgetpu.log")).write_text("Operator  Count  Status\\nCONV_2D  54  Mapped to Edge TPU\\n")
print("Model compiled successfully in 1500 ms.")
"""
FAILS = 'print("ERROR: :61 0 != 1")\nprint("Internal compiler error. Aborting!")\nsys.exit(1)'
FAILS_WITH_0 = 'print("Compilation failed: Model failed in Tflite interpreter.")'
SAYS_NOTHING = "sys.exit(3)"
LEAVES_A_FILE = '(folder / (source.stem + "_edgetpu.tflite")).write_bytes(b"half")\n'


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    """An int8 file with notes; what is in it does not matter to these tests."""
    path = tmp_path / "heads.tflite"
    file = load(model("movenet_singlepose_lightning_int8.tflite"))
    file.set_notes(
        Notes(
            kind="singlepose", quantization="int8", source=Source("m", f"sha256:{'0' * 64}"), tool="edge-pose 9 convert"
        )
    )
    file.save(path)
    return path


def compiler(folder: Path, body: str) -> str:
    """Write a compiler that behaves as documented, and return its path."""
    (folder / "bin").mkdir()
    program = folder / "bin/edgetpu_compiler"
    program.write_text(COMPILER.format(python=sys.executable, body=body))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return find_compiler(str(folder / "bin"))


def test_the_compiled_file_lies_beside_its_source_with_the_notes_that_the_compiler_dropped(
    heads: Path, tmp_path: Path
) -> None:
    compiled = model("movenet_singlepose_lightning_int8_edgetpu.tflite")
    made = compile_for_edgetpu(heads, compiler(tmp_path, SUCCEEDS.format(compiled=str(compiled))))
    assert made == tmp_path / "heads_edgetpu.tflite"
    assert made.read_bytes() == compiled.read_bytes()
    assert read_notes(made) == read_notes(heads)
    assert forecast(made) == "compiled: 1 Edge TPU operator, 59 left for the CPU"
    log = (tmp_path / "heads.tflite.edgetpu.log").read_text()
    assert "Edge TPU Compiler version 16.0" in log
    assert "Mapped to Edge TPU" in log
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"bin", made.name, f"{made.name}.json", heads.name, "heads.tflite.edgetpu.log"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (FAILS, "does not take it (ERROR: :61 0 != 1; exit code 1)"),
        (FAILS_WITH_0, "does not take it (Compilation failed: Model failed in Tflite interpreter.; exit code 0)"),
        (LEAVES_A_FILE + SAYS_NOTHING, "exit code 3"),
        (LEAVES_A_FILE + FAILS_WITH_0, "exit code 0"),
        (SAYS_NOTHING, "does not take it (Edge TPU Compiler version 16.0.384591198; exit code 3)"),
    ],
)
def test_a_compiler_that_gives_up_is_told_in_its_own_words_and_its_log_alone_is_kept(
    heads: Path, tmp_path: Path, body: str, words: str
) -> None:
    for name in ("heads_edgetpu.tflite", "heads_edgetpu.tflite.json"):
        (tmp_path / name).write_bytes(b"of an older heads.tflite")
    with pytest.raises(ModelError) as told:
        compile_for_edgetpu(heads, compiler(tmp_path, body))
    assert words in str(told.value)
    assert "Edge TPU Compiler version" in (tmp_path / "heads.tflite.edgetpu.log").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"bin", heads.name, "heads.tflite.edgetpu.log"}


def test_a_compiler_that_cannot_be_run_is_named(heads: Path, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="edgetpu_compiler cannot be run"):
        compile_for_edgetpu(heads, str(tmp_path / "edgetpu_compiler"))


def test_what_an_older_file_was_compiled_to_and_cannot_be_deleted_is_named(heads: Path, tmp_path: Path) -> None:
    (tmp_path / "heads_edgetpu.tflite").mkdir()
    with pytest.raises(UnavailableError, match=r"heads_edgetpu\.tflite: of an older heads\.tflite, and cannot be"):
        compile_for_edgetpu(heads, compiler(tmp_path, SAYS_NOTHING))


def test_without_the_compiler_it_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"Debian package for x86-64.*coral\.ai/docs/edgetpu/compiler"):
        find_compiler(str(tmp_path))


def test_what_runs_on_the_edge_tpu_is_foretold_without_the_compiler() -> None:
    assert forecast(model("movenet_singlepose_lightning_int8.tflite")).startswith("98 of 157 operators on it")
