"""From the SavedModel to people in the daemon's output, in every form that the converter knows."""

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data import data, model, needs_data, needs_models
from edge.poses.head_maps import HEADS
from edge.tflite.file import load
from edge.tflite.notes import Notes, read_notes
from tools.convert.command import main
from workstation.conversion import complaint, convert, convert_alone

pytestmark = [needs_data, needs_models]

SIZE = "96x128"
QUANTIZATIONS = ("none", "fp16", "dynamic", "int8")
FORMS = [(form, quantization) for form in ("heads", "whole") for quantization in QUANTIZATIONS]
PERSON = "video/wave_single.mp4"
FRAMES = 6
Made = Callable[[str, str], Path]


def some_pictures(folder: Path) -> Path:
    """Make a folder of as few pictures as calibration takes without a warning."""
    folder.mkdir()
    for picture in sorted(data("train/coco/images").iterdir())[:20]:
        (folder / picture.name).symlink_to(picture)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Convert to (form, quantization) once."""
    folder = tmp_path_factory.mktemp("made")
    calibration = some_pictures(folder / "calibration")

    def make(form: str, quantization: str) -> Path:
        output = folder / f"{form}_{quantization}.tflite"
        if not output.exists():
            words: list[str | Path] = [
                "--size",
                SIZE,
                "--quantize",
                quantization,
                "--images",
                data("coco_dev/images"),
                "--output",
                output,
            ]
            words += ["--heads"] if form == "heads" else []
            words += ["--calibration", calibration] if quantization == "int8" else []
            told = convert(model("multipose_standin"), "--max-images", "30", *words)
            assert told.code == 0, told.err
            output.with_suffix(".txt").write_text(told.out)
        return output

    return make


def poses_of(path: Path) -> list[list[Any]]:
    """Run the daemon on a clip of one person and return the poses of every frame."""
    # At the size that the person was chosen for: close up, the stand-in finds more than one in a larger input.
    size = ["--set", f"model.size={SIZE}"]
    words = ["--camera", data(PERSON), "--model", path, "--jsonl", "-", "--no-pace", "--max-frames", str(FRAMES), *size]
    command = [sys.executable, "-m", "edge", "run", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["poses"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("form", "quantization"), FORMS)
def test_the_daemon_finds_the_person_with_every_form_of_the_model(made: Made, form: str, quantization: str) -> None:
    frames = poses_of(made(form, quantization))
    assert len(frames) == FRAMES
    assert all(len(poses) == 1 for poses in frames[1:])
    nose_x, nose_y, score = frames[-1][0]["keypoints"][0]
    reference_x, reference_y, _ = poses_of(made("whole", "none"))[-1][0]["keypoints"][0]
    assert (nose_x, nose_y) == pytest.approx((reference_x, reference_y), abs=0.04)
    assert score > 0.2


@pytest.mark.parametrize(("form", "quantization"), FORMS)
def test_every_file_says_what_it_is_and_where_it_comes_from(made: Made, form: str, quantization: str) -> None:
    notes = read_notes(made(form, quantization))
    assert isinstance(notes, Notes)
    assert notes.kind == ("heads" if form == "heads" else "multipose")
    assert notes.heads == (HEADS if form == "heads" else ())
    assert notes.quantization == quantization
    assert notes.source.name == "multipose_standin"
    assert notes.tool.endswith(" convert")


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_heads_are_named_in_the_file_and_a_rescaled_one_cannot_be_taken_for_plain(
    made: Made, quantization: str
) -> None:
    path = made("heads", quantization)
    notes, file = read_notes(path), load(path)
    assert notes is not None
    names = [file.name(tensor) for tensor in file.graph.outputs]
    assert names == [head + (":scaled" if head in notes.affine else "") for head in HEADS]
    (signature,) = file.tree.signatureDefs
    assert [place.name.decode() for place in signature.inputs] == ["input"]
    assert [place.name.decode() for place in signature.outputs] == list(HEADS)
    assert file.dtype(int(file.graph.inputs[0])) == "uint8"
    assert file.shape(int(file.graph.inputs[0])) == (1, 96, 128, 3)


@pytest.mark.parametrize("quantization", ["none", "fp16", "dynamic"])
def test_cutting_changes_no_keypoint(made: Made, quantization: str) -> None:
    table = made("heads", quantization).with_suffix(".txt").read_text()
    assert "  parity     100.00% of " in table


def test_smaller_weights_make_smaller_files(made: Made) -> None:
    none, fp16, dynamic, int8 = (made("heads", quantization).stat().st_size for quantization in QUANTIZATIONS)
    assert none > 1.9 * fp16 > 3 * dynamic
    assert int8 < 0.7 * fp16


def test_the_same_source_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    words = ("--heads", "--size", SIZE, "--max-images", "1", "--output", tmp_path / "again.tflite")
    assert convert(model("multipose_standin"), *words).code == 0
    assert (tmp_path / "again.tflite").read_bytes() == made("heads", "fp16").read_bytes()


def test_a_result_below_the_asked_for_oks_is_not_written_and_the_old_file_stays(tmp_path: Path) -> None:
    output = tmp_path / "m.tflite"
    output.write_bytes(b"old")
    words = ("--quantize", "dynamic", "--size", SIZE, "--images", data("coco_dev/images"), "--max-images", "20")
    told = convert(model("multipose_standin"), *words, "--min-oks", "1", "--output", output)
    assert told.code == 78
    assert "not written: the mean OKS with the float graph is 0.9" in complaint(told)
    assert [path.name for path in tmp_path.iterdir()] == ["m.tflite"]
    assert output.read_bytes() == b"old"


def test_several_sizes_and_an_open_one_go_into_a_folder_and_the_open_one_runs_at_the_cameras_aspect(
    tmp_path: Path,
) -> None:
    words = ("--size", "64x96", "--size", "dynamic", "--max-images", "2", "--output", tmp_path / "made")
    told = convert(model("multipose_standin"), "--heads", *words)
    assert told.code == 0, told.err
    made = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert made == ["multipose_standin_heads_fp16_64x96.tflite", "multipose_standin_heads_fp16_dynamic.tflite"]
    frames = poses_of(tmp_path / "made" / made[1])
    assert all(len(poses) == 1 for poses in frames[1:])


def test_the_annotations_give_the_average_precision(tmp_path: Path) -> None:
    words = ("--images", data("coco_dev/images"), "--annotations", data("coco_dev/person_keypoints.json"))
    told = convert(
        model("multipose_standin"), "--heads", "--size", SIZE, *words, "--max-images", "5", "--output", tmp_path / "m"
    )
    assert told.code == 0, told.err
    (line,) = [line for line in told.out.splitlines() if line.startswith("  AP ")]
    assert 1 < float(line.split()[1]) < 20


@pytest.mark.parametrize(
    ("quantization", "said"),
    [("none", "  parity     100.00% of "), ("int8", "no pose of 0.2 or more, so the mean OKS is not checked")],
)
def test_the_published_graph_is_cut_and_checked_in_float_and_in_int8_which_seeded_weights_leave_unchecked(
    published_unfolded: Path, tmp_path: Path, quantization: str, said: str
) -> None:
    pictures = some_pictures(tmp_path / "pictures")
    words: list[str | Path] = ["--heads", "--size", "64x96", "--quantize", quantization, "--images", pictures]
    words += ["--calibration", pictures, "--min-oks", "0"] if quantization == "int8" else []
    output = tmp_path / "m.tflite"
    told = convert(published_unfolded, *words, "--max-images", "10", "--output", output)
    assert told.code == 0, told.err
    notes = read_notes(output)
    assert notes is not None
    assert notes.heads == HEADS
    assert said in told.out


class GoneReader(io.StringIO):
    """A standard output at which something else happens."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    def write(self, _text: str) -> int:
        raise self._error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BrokenPipeError(), 0, ""),
        (KeyboardInterrupt(), 130, "convert: stopped; no partial file is left, the files listed above are whole\n"),
    ],
)
def test_what_is_made_goes_through_a_link_and_stays_whatever_becomes_of_the_table(
    tmp_path: Path, error: BaseException, code: int, said: str
) -> None:
    (tmp_path / "link.tflite").symlink_to("far.tflite")
    words = ("--heads", "--size", "32x32", "--max-images", "1", "--output", str(tmp_path / "link.tflite"))
    with contextlib.redirect_stdout(GoneReader(error)), contextlib.redirect_stderr(io.StringIO()) as told:
        assert main([str(model("multipose_standin")), *words]) == code
    assert (tmp_path / "link.tflite").is_symlink()
    assert read_notes(tmp_path / "far.tflite") is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far.tflite", "link.tflite"]
    assert told.getvalue().splitlines(keepends=True)[2:] == ([said] if said else [])


def test_as_a_program_it_prints_its_table_and_nothing_of_tensorflow(tmp_path: Path) -> None:
    words = ("--heads", "--size", "32x32", "--max-images", "1", "--output", tmp_path / "m.tflite")
    told = convert_alone(model("multipose_standin"), *words)
    assert told.code == 0
    assert told.out.startswith(f"{tmp_path / 'm.tflite'}\n  size       4.7")
    assert [line.split()[0] for line in told.err.splitlines()] == ["convert:", "convert:"]


@pytest.mark.parametrize("installed", [False, True])
def test_the_heads_in_int8_are_compiled_for_the_edge_tpu_where_the_compiler_is(tmp_path: Path, installed: bool) -> None:
    if installed:
        program = tmp_path / "edgetpu_compiler"
        program.write_text('#!/bin/sh\ncp "$4" "$3/$(basename "$4" .tflite)_edgetpu.tflite"\n')
        program.chmod(0o755)
    (tmp_path / "m_edgetpu.tflite").write_bytes(b"of an older m.tflite")
    words = (
        "--heads",
        "--quantize",
        "int8",
        "--size",
        "32x32",
        "--edgetpu",
        "--min-oks",
        "0",
        "--calibration",
        some_pictures(tmp_path / "p"),
    )
    path = f"{tmp_path}:/usr/bin:/bin"
    told = convert_alone(model("multipose_standin"), *words, "--output", tmp_path / "m.tflite", extra={"PATH": path})
    assert told.code == (0 if installed else 69), told.err
    assert "  Edge TPU   96 of 96 operators on it, in 1 partition" in told.out
    assert read_notes(tmp_path / "m.tflite") is not None
    made = {"m_edgetpu.tflite", "m_edgetpu.tflite.json", "m.tflite.edgetpu.log"}
    assert made & {path.name for path in tmp_path.iterdir()} == (made if installed else set())
    if not installed:
        assert "--edgetpu: edgetpu_compiler is not installed: a Debian package" in complaint(told)
