"""`edge-pose models export`: a folder that another machine takes as its mirror."""

import hashlib
import shutil
import stat
import sys
from pathlib import Path

import pytest

from command import Outcome, run
from data import model, needs_models
from edge.errors import UnavailableError, UsageError
from edge.models.files import model_row, resolve
from edge.models.manifest import load_manifest
from edge.models.places import Places, places
from edge.tflite.notes import read_notes

pytestmark = needs_models

GRAPH = "graph_models/movenet-multipose.json"
DEFAULT = "movenet-multipose"
COMPILER = """\
#!{python}
import pathlib, shutil, sys
source, folder = pathlib.Path(sys.argv[4]), pathlib.Path(sys.argv[3])
shutil.copy({compiled!r}, folder / (source.stem + "_edgetpu.tflite"))
"""


def export(folder: Path, *words: str, source: Path | None = None, path: Path | None = None) -> Outcome:
    env = {"EDGE_POSE_MODEL_MIRROR": None, "EDGE_POSE_CACHE": str(folder.parent / "cache")}
    if path:
        env["PATH"] = str(path)
    return run("models", "export", folder, "--source", source or model(GRAPH), *words, env=env)


def mirror_of(folder: Path) -> Places:
    return Places(folder, folder.parent / "no-cache", offline=True)


def test_another_machine_runs_the_default_and_every_variant_from_the_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    outcome = export(folder, "--size", "96x128", "--quantize", "int8", "--quantize", "fp16", "--quantize", "none")
    assert outcome.code == 0, outcome.err
    manifest = load_manifest(folder)
    names = [DEFAULT, *(f"movenet-multipose-{precision}-96x128" for precision in ("int8", "fp16", "float32"))]
    for name in names:
        found = resolve(name, manifest, mirror_of(folder))
        notes = read_notes(found.path)
        assert found.source == "mirror"
        assert notes
        assert notes.kind == "heads"
    assert manifest.entry().name == DEFAULT
    assert f"EDGE_POSE_MODEL_MIRROR={folder}" in outcome.out


def test_the_digests_are_those_of_sha256sum_for_every_file_and_the_licence_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    assert export(folder).code == 0
    lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = {name: digest for digest, name in lines}
    files = {path.name for path in folder.iterdir()} - {"SHA256SUMS"}
    assert set(sums) == files == {"LICENSE", "NOTICE", "models.toml", load_manifest().entry().file}
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in sums.items())
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert "Google" in (folder / "NOTICE").read_text()


def test_a_second_export_replaces_the_first_and_leaves_none_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    assert export(folder, "--size", "96x128").code == 0
    assert export(folder).code == 0
    assert not list(folder.glob("*96x128*"))
    assert "movenet-multipose-int8-96x128" not in load_manifest(folder).entries


@pytest.mark.parametrize("name", ["photo.jpg", "models.toml", "own.tflite", "sub/file"])
def test_a_folder_with_anything_else_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    file = tmp_path / "mirror" / name
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    outcome = export(tmp_path / "mirror")
    assert outcome.code == UsageError.exit_code
    assert "name a new folder" in outcome.err
    assert outcome.err.count("\n") == 1
    assert file.read_text() == "mine"
    assert len(list((tmp_path / "mirror").iterdir())) == 1


@pytest.mark.parametrize("source", ["graph_models/movenet-lightning.json", "movenet_singlepose_lightning_int8.tflite"])
def test_a_source_that_is_not_multipose_is_refused_before_an_earlier_export_is_touched(
    tmp_path: Path, source: str
) -> None:
    folder = tmp_path / "mirror"
    assert export(folder).code == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    outcome = export(folder, source=model(source))
    assert outcome.code not in (0, 70)
    assert outcome.err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_compiled_twins_are_entries_for_the_edge_tpu_with_the_cpu_file_as_their_twin(tmp_path: Path) -> None:
    folder, programs = tmp_path / "mirror", tmp_path / "bin"
    programs.mkdir()
    program = programs / "edgetpu_compiler"
    compiled = str(model("movenet_singlepose_lightning_int8_edgetpu.tflite"))
    program.write_text(COMPILER.format(python=sys.executable, compiled=compiled))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert export(folder, "--edgetpu", path=programs).code == 0
    entry = load_manifest(folder).entry(f"{DEFAULT}-edgetpu")
    assert (entry.delegate, entry.cpu_twin) == ("edgetpu", DEFAULT)
    assert model_row(entry.name, load_manifest(folder), mirror_of(folder)).state == "ok"
    assert read_notes(folder / entry.file) == read_notes(folder / load_manifest(folder).entry().file)


def test_without_the_compiler_nothing_is_written_and_one_line_says_where_it_comes_from(tmp_path: Path) -> None:
    outcome = export(tmp_path / "mirror", "--edgetpu", path=tmp_path)
    assert outcome.code == UnavailableError.exit_code
    assert "edgetpu_compiler is not installed" in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "mirror").exists()


def test_without_any_source_one_line_names_what_was_looked_for(tmp_path: Path) -> None:
    env = {"EDGE_POSE_MODEL_MIRROR": None, "EDGE_POSE_CACHE": str(tmp_path / "cache")}
    outcome = run("models", "export", tmp_path / "mirror", "--offline", env=env)
    assert outcome.code == UnavailableError.exit_code
    assert "built from" in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "mirror").exists()


def test_the_agent_finds_the_files_of_the_installed_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert places({}).wheel is None
    assert export(tmp_path / "mirror").code == 0
    package = tmp_path / "site/edge_pose_models"
    shutil.copytree(tmp_path / "mirror", package)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    where = places({"EDGE_POSE_CACHE": str(tmp_path / "cache")}, offline=True)
    found = resolve(None, load_manifest(), where)
    assert (found.source, found.path.parent) == ("wheel", package)
    (package / found.path.name).write_bytes(b"another version's")
    with pytest.raises(UnavailableError, match=r"wheel .*: wrong digest"):
        resolve(None, load_manifest(), where)
