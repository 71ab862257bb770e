"""Whatever is wrong with what the converter is given is told in one line, and nothing is left behind."""

import io
import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf

from archives import tar_gz
from brokers import eventually
from command import PROJECT, environment, tool_arguments
from data import data, model, needs_data, needs_models
from edge.errors import ModelError, UnavailableError
from edge.tflite.file import load
from tools.convert.graph.unpack import unpack_saved_model
from tools.convert.label import signature_outputs
from workstation.conversion import complaint, convert, convert_alone

pytestmark = needs_models

OTHER_MODELS: dict[str, tuple[Any, Callable[[Any], Any], str]] = {
    "another signature": (
        tf.TensorSpec([1, None, None, 3], tf.float32),
        lambda x: {"scores": tf.reduce_mean(x, [1, 2])},
        "not MoveNet MultiPose: serving_default takes float32 [1, ?, ?, 3] and gives float32 [1, 3]; needed is",
    ),
    "MoveNet SinglePose": (
        tf.TensorSpec([1, 192, 192, 3], tf.int32),
        lambda x: {"output_0": tf.zeros([1, 1, 17, 3]) + tf.cast(x[0, 0, 0, 0], tf.float32)},
        "for MoveNet SinglePose use `edge-pose models derive`",
    ),
    "the right signature without convolutions": (
        tf.TensorSpec([1, None, None, 3], tf.int32),
        lambda x: {"output_0": tf.zeros([1, 6, 56]) + tf.reduce_mean(tf.cast(x, tf.float32))},
        "not MoveNet MultiPose: its last convolutions have none channels",
    ),
    "the right signature with another network": (
        tf.TensorSpec([1, None, None, 3], tf.int32),
        lambda x: {
            "output_0": tf.zeros([1, 6, 56])
            + tf.reduce_mean(tf.nn.conv2d(tf.cast(x, tf.float32), tf.ones([3, 3, 3, 7]), 2, "SAME"))
        },
        "not MoveNet MultiPose: its last convolutions have 7 channels; needed are 1, 2, 2, 17, 34, 34",
    ),
}


def other_model(folder: Path, name: str) -> str:
    """Write a SavedModel that is not MoveNet MultiPose, and return what is to be said about it."""
    spec, function, words = OTHER_MODELS[name]
    module = tf.Module()
    module.run = tf.function(function, input_signature=[spec])
    tf.saved_model.save(module, str(folder), signatures=module.run)
    return words


@pytest.mark.parametrize("name", list(OTHER_MODELS))
def test_a_saved_model_that_is_not_multipose_is_named_by_what_it_is(tmp_path: Path, name: str) -> None:
    words = other_model(tmp_path / "other", name)
    told = convert(tmp_path / "other", "--heads", "--output", tmp_path / "m.tflite")
    assert told.code == 78
    assert words in complaint(told)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def archive(path: Path, kept: float = 1) -> Path:
    """Write the multipose SavedModel as an archive, of which only a part may have arrived."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as tar:
        tar.add(model("multipose_standin"), arcname=".")
    content = whole.getvalue()
    path.write_bytes(content[: int(len(content) * kept)])
    return path


@pytest.mark.parametrize("kept", [0.3, 0.999])
def test_a_truncated_archive_is_told_as_such(tmp_path: Path, kept: float) -> None:
    told = convert(archive(tmp_path / "m.tar.gz", kept), "--output", tmp_path / "m.tflite")
    assert told.code == 78
    assert "m.tar.gz: the archive is truncated or damaged" in complaint(told)
    assert [path.name for path in tmp_path.iterdir()] == ["m.tar.gz"]


HOSTILE = {
    "../../evil": b"x",
    "/tmp/evil": b"x",
    "variables/../../evil": b"x",
    "m/saved_model.pb": b"graph",
    "m/saved_model.pb.bak": b"x",
    "m/not_a_saved_model.pb": b"x",
    "m/variables/variables.index": b"index",
    "m/variables/variables.data-00000-of-00001": b"data",
    "m/variables/variables.data-../../../evil": b"x",
}


def test_of_a_hostile_archive_only_the_saved_models_own_files_are_written(tmp_path: Path) -> None:
    (tmp_path / "h.tar.gz").write_bytes(tar_gz(HOSTILE))
    (tmp_path / "a/b/c").mkdir(parents=True)
    unpack_saved_model(tmp_path / "h.tar.gz", tmp_path / "a/b/c")
    written = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    del written["h.tar.gz"]
    assert written == {
        "a/b/c/saved_model.pb": b"graph",
        "a/b/c/variables/variables.index": b"index",
        "a/b/c/variables/variables.data-00000-of-00001": b"data",
    }


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    with tarfile.open(tmp_path / "l.tar.gz", "w:gz") as tar:
        link = tarfile.TarInfo("saved_model.pb")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(link)
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match=r"no SavedModel in the archive: no saved_model\.pb, only 'saved_model\.pb'"):
        unpack_saved_model(tmp_path / "l.tar.gz", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {"readme": b"", "m.tflite": b""},
            "no SavedModel in the archive: no saved_model.pb, only 'readme', 'm.tflite'",
        ),
        ({}, "only nothing"),
        ({"a/saved_model.pb": b"1", "b/saved_model.pb": b"2"}, "two SavedModels"),
        ({"saved_model.pb": bytes(10_000)}, "far more than a model"),
    ],
)
def test_an_archive_without_exactly_one_saved_model_is_refused(
    tmp_path: Path, files: dict[str, bytes], words: str
) -> None:
    (tmp_path / "m.tar.gz").write_bytes(tar_gz(files))
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match=words):
        unpack_saved_model(
            tmp_path / "m.tar.gz", tmp_path / "out", max_bytes=11_000 if words != "far more than a model" else 5_000
        )


def test_a_damaged_saved_model_is_told_as_such(tmp_path: Path) -> None:
    shutil.copytree(model("multipose_standin"), tmp_path / "m")
    for path in (tmp_path / "m").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (tmp_path / "m").chmod(0o755)
    graph = tmp_path / "m/saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:100_000])
    told = convert(tmp_path / "m", "--output", tmp_path / "m.tflite")
    assert told.code == 78
    assert "the SavedModel is damaged" in complaint(told)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["SOURCE", "--size", "250x256"], 64, "not a multiple of 32"),
        (["SOURCE", "--size", "0x256"], 64, "both sides must be from 32 to 2048"),
        (["SOURCE", "--size", "256"], 64, 'expected "dynamic" or "HxW"'),
        (["SOURCE", "--size", "64x64", "--size", "64x64"], 64, "one size is given twice"),
        (["SOURCE", "--size", "dynamic", "--heads", "--quantize", "int8"], 64, "int8 needs a fixed size"),
        (["SOURCE", "--quantize", "int4"], 64, "invalid choice: 'int4'"),
        (["SOURCE", "--heads", "--edgetpu"], 64, "add --heads --quantize int8"),
        (["SOURCE", "--calibration", "x"], 64, "only --quantize int8 is calibrated"),
        (["SOURCE", "--annotations", "x.json"], 64, "needs --images"),
        (["SOURCE", "--min-oks", "2"], 64, "is not a number from 0 to 1"),
        (["SOURCE", "--max-images", "0"], 64, "is not a number from 1 on"),
        (["SOURCE", "--frobnicate"], 64, "unrecognized arguments: --frobnicate"),
        (["no/such/folder"], 66, "no such SavedModel folder, archive or model name"),
        (["no-such-model"], 69, 'model "no-such-model" is not in the manifest'),
        (["movenet-singlepose-lightning-int8"], 78, "is not a SavedModel but a singlepose file"),
        (["EMPTY"], 66, "no SavedModel: there is no saved_model.pb in it"),
        (["NOTES"], 66, "neither a SavedModel folder nor a .tar.gz archive"),
        (["TFLITE"], 78, "a TFLite file, not a SavedModel; `edge-pose models derive`"),
        (["SOURCE", "--images", "no/such/pictures", "--annotations", "EMPTY"], 66, "cannot be read"),
        (["SOURCE", "--images", "EMPTY", "--size", "32x32"], 66, "EMPTY"),
        (["SOURCE", "--images", "NOTES"], 66, "a file: --images needs a folder of pictures"),
        (["x" * 300], 66, "cannot be read: File name too long"),
        (["SOURCE", "--images", "x" * 300], 66, "cannot be read: File name too long"),
        (["SOURCE", "--quantize", "int8", "--calibration", "x" * 300], 66, "cannot be read: File name too long"),
        (["SOURCE", "--quantize", "int8", "--calibration", "EMPTY"], 66, "no pictures in this folder"),
        (["SOURCE", "--quantize", "int8", "--calibration", "no/such/folder"], 66, "no such"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "NOTES").write_text("not an archive at all")
    places = {
        "SOURCE": model("multipose_standin"),
        "TFLITE": model("movenet_singlepose_lightning_int8.tflite"),
        "EMPTY": tmp_path / "EMPTY",
        "NOTES": tmp_path / "NOTES",
    }
    told = convert(*(places.get(word, word) for word in words), "--output", tmp_path / "m.tflite")
    assert told.code == code
    assert said in complaint(told)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["EMPTY", "NOTES"]


def test_pictures_that_are_missing_are_told_before_anything_takes_time(tmp_path: Path) -> None:
    told = convert(model("multipose_standin"), "--images", tmp_path, "--output", tmp_path / "m.tflite")
    assert told.code == 66
    assert told.err.count("\n") == 1
    assert complaint(told).startswith(f"{tmp_path}: ")


def test_an_output_in_no_folder_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    told = convert(model("multipose_standin"), "--output", tmp_path / "no/such/m.tflite")
    assert (told.code, "no such folder for the output" in complaint(told)) == (69, True)


def no_graph(folder: Path) -> Path:
    """Make a SavedModel that is opened, and found damaged as soon as it is read."""
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"x")
    return folder


def test_an_output_with_too_long_a_name_is_refused(tmp_path: Path) -> None:
    for name in ("x" * 300, f"{'x' * 300}/m.tflite"):
        told = convert(no_graph(tmp_path / f"m{len(name)}"), "--output", tmp_path / name)
        assert (told.code, "cannot be written: File name too long" in complaint(told)) == (69, True)


@pytest.mark.parametrize(("source", "output"), [("m", "m/saved_model.pb"), ("m.tar.gz", "m.tar.gz"), ("m", "link")])
def test_the_source_itself_is_no_output(tmp_path: Path, source: str, output: str) -> None:
    no_graph(tmp_path / "m")
    (tmp_path / "m.tar.gz").write_bytes(tar_gz({"saved_model.pb": b"x"}))
    (tmp_path / "link").symlink_to("m/saved_model.pb")
    before = (tmp_path / output).read_bytes()
    told = convert(tmp_path / source, "--output", tmp_path / output)
    assert (told.code, "is the source itself: name another output" in complaint(told)) == (64, True)
    assert (tmp_path / output).read_bytes() == before


def test_an_output_that_is_no_file_is_refused_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    told = convert(no_graph(tmp_path / "m"), "--output", tmp_path / "fifo")
    assert (told.code, "is not a regular file: name another output" in complaint(told)) == (69, True)
    assert (tmp_path / "fifo").is_fifo()


def test_a_failure_leaves_no_folder_for_several_sizes_but_one_that_was_there(tmp_path: Path) -> None:
    words = (no_graph(tmp_path / "m"), "--size", "32x32", "--size", "64x32", "--output")
    (tmp_path / "there").mkdir()
    for name in ("made", "there"):
        assert convert(*words, tmp_path / name).code == 78
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "there"]


def test_several_sizes_need_a_folder(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"something else")
    words = ("--size", "32x32", "--size", "64x32", "--output", tmp_path / "m.tflite")
    told = convert(model("multipose_standin"), *words)
    assert (told.code, "several sizes need a folder" in complaint(told)) == (69, True)
    assert (tmp_path / "m.tflite").read_bytes() == b"something else"


def test_a_full_disk_leaves_no_part_of_a_file_and_the_old_one_as_it_was(tmp_path: Path) -> None:
    output = tmp_path / "m.tflite"
    output.write_bytes(b"old")
    words = ("--heads", "--size", "32x32", "--output", output)
    told = convert_alone(model("multipose_standin"), *words, max_file_bytes=1_000_000)
    assert told.code == 69
    assert "cannot be written: File too large: make room" in complaint(told)
    assert [path.name for path in tmp_path.iterdir()] == ["m.tflite"]
    assert output.read_bytes() == b"old"


def test_a_full_folder_for_temporary_files_is_told_as_such_when_unpacking(tmp_path: Path) -> None:
    (tmp_path / "m.tar.gz").write_bytes(tar_gz({"saved_model.pb": bytes(200_000)}))
    told = convert_alone(tmp_path / "m.tar.gz", "--output", tmp_path / "m.tflite", max_file_bytes=100_000)
    assert told.code == 69
    assert "no room to unpack it (File too large): make room, or name another folder in TMPDIR" in complaint(told)


def test_a_full_folder_for_temporary_files_is_told_as_such_when_checking(tmp_path: Path) -> None:
    # What is compared with is larger than the result.
    words = ("--size", "32x32", "--quantize", "dynamic", "--output", tmp_path / "m.tflite")
    told = convert_alone(model("multipose_standin"), *words, max_file_bytes=4_000_000)
    assert told.code == 69
    assert "cannot be written: File too large: make room, or name another folder in TMPDIR" in complaint(told)


def test_a_file_that_tensorflow_wrote_without_a_signature_means_no_room() -> None:
    file = load(model("movenet_singlepose_lightning_int8.tflite"))
    file.tree.signatureDefs = []
    with pytest.raises(UnavailableError, match="TensorFlow wrote no signature, as when TMPDIR is full"):
        signature_outputs(file)


def test_an_empty_calibration_is_told_before_tensorflow_is_loaded(tmp_path: Path) -> None:
    package = tmp_path / "path/tensorflow/__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("raise SystemExit('imported')")
    words = ("--quantize", "int8", "--calibration", tmp_path, "--output", tmp_path / "m.tflite")
    told = convert_alone(model("multipose_standin"), *words, extra={"PYTHONPATH": str(tmp_path / "path")})
    assert (told.code, "no pictures in this folder" in complaint(told)) == (66, True)


def test_without_tensorflow_it_says_what_to_install(tmp_path: Path) -> None:
    package = tmp_path / "path/tensorflow/__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("raise ModuleNotFoundError(\"No module named 'tensorflow'\", name='tensorflow')")
    words = (model("multipose_standin"), "--output", tmp_path / "m.tflite")
    told = convert_alone(*words, extra={"PYTHONPATH": str(tmp_path / "path")})
    assert told.code == 69
    assert "pip install 'edge-pose[convert]'" in complaint(told)


def test_help_comes_without_tensorflow_and_teaches_by_examples(tmp_path: Path) -> None:
    package = tmp_path / "path/tensorflow/__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("raise SystemExit('imported')")
    told = convert_alone("--help", extra={"PYTHONPATH": str(tmp_path / "path")})
    assert told.code == 0
    for words in ("examples:", "--heads --quantize int8 --calibration", "exit codes:"):
        assert words in told.out


@needs_data
def test_too_few_pictures_for_a_calibration_are_refused_before_tensorflow_is_loaded(tmp_path: Path) -> None:
    for picture in sorted(data("train/coco/images").iterdir())[:19]:
        (tmp_path / picture.name).symlink_to(picture)
    words = ("--heads", "--quantize", "int8", "--calibration", tmp_path, "--output", tmp_path / "m.tflite")
    done = convert(model("graph_models/movenet-multipose.json"), *words)
    assert done.code == 66
    assert done.err.startswith(f"convert: {tmp_path}: 19 pictures: --calibration needs 20 at least, better 200")


@needs_data
def test_grey_pictures_as_a_calibration_write_nothing(tmp_path: Path) -> None:
    """A ruined model: of the people of the check it finds a third."""
    grey = tmp_path / "grey"
    grey.mkdir()
    for index in range(24):
        cv2.imwrite(str(grey / f"{index}.png"), np.full((96, 128, 3), 90 + index, np.uint8))
    words = ("--heads", "--quantize", "int8", "--size", "96x128", "--calibration", grey)
    source, output = model("graph_models/movenet-multipose.json"), tmp_path / "m.tflite"
    done = convert(source, *words, "--output", output)
    assert (done.code, output.exists()) == (78, False), done.err
    assert "so nothing proves that int8 works: give --images with people" in done.err
    done = convert(source, *words, "--output", output, "--images", data("coco_dev/images"))
    assert (done.code, output.exists()) == (78, False), done.err
    assert "not written: " in done.err


@needs_data
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_kill_or_a_closed_connection_leaves_nothing_half_written(tmp_path: Path, number: signal.Signals) -> None:
    output = tmp_path / "m.tflite"
    words = tool_arguments("convert", model("graph_models/movenet-multipose.json"), "--heads", "--output", output)
    command = subprocess.Popen(
        [*words, "--images", data("coco_dev/images")],
        cwd=PROJECT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    eventually(lambda: any(path.suffix == ".part" for path in tmp_path.iterdir()), 60)
    command.send_signal(number)
    _, err = command.communicate(timeout=60)
    assert command.returncode == 130, err
    assert "stopped; no partial file is left" in err
    assert list(tmp_path.iterdir()) == []
