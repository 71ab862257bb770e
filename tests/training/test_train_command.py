"""The command: what it learns from, how it goes on, and what it says when it cannot."""

import json
import shutil
from pathlib import Path

import cv2
import pytest
import torch

from data import model, needs_models
from edge.models.derive_file import derive_file
from tools.train.run.checkpoint import load_checkpoint
from training.running import complaint, finish, start, train
from training.small import annotated, coco, image, write

Capture = pytest.CaptureFixture[str]


def test_one_picture_is_enough_to_learn_from(tmp_path: Path, capsys: Capture) -> None:
    done = train(capsys, "--annotated", *annotated(tmp_path, 1), "--steps", "2", "--output", tmp_path / "out")
    assert done.code == 0, done.err
    assert load_checkpoint(tmp_path / "out" / "checkpoint.pt").step == 2


def test_a_training_goes_on_by_itself_as_if_it_had_not_been_ended(tmp_path: Path, capsys: Capture) -> None:
    source = ("--annotated", *annotated(tmp_path), "--rate", "0.001")
    assert train(capsys, *source, "--steps", "4", "--output", tmp_path / "whole").code == 0
    assert train(capsys, *source, "--steps", "2", "--output", tmp_path / "parts").code == 0
    again = train(capsys, *source, "--steps", "4", "--output", tmp_path / "parts")
    assert again.code == 0
    told = f"train: {tmp_path / 'parts' / 'checkpoint.pt'}: goes on from step 2 of 4"
    assert [line for line in again.err.splitlines() if "goes on" in line] == [told]
    steps = [json.loads(line)["step"] for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


def test_a_training_that_goes_on_with_another_recipe_says_what_is_another(tmp_path: Path, capsys: Capture) -> None:
    source = ("--annotated", *annotated(tmp_path), "--output", tmp_path / "out")
    assert train(capsys, *source, "--steps", "1").code == 0
    assert "otherwise" not in train(capsys, *source, "--steps", "1").err
    again = train(capsys, *source, "--steps", "2", "--rate", "0.001", "--seed", "5")
    assert again.code == 0
    changes = [line for line in again.err.splitlines() if "from here on it learns otherwise: " in line]
    assert [change.split(": ")[2].split()[0] for change in changes] == ["rate", "inputs"]
    assert "rate 0.001 (was 0.0025)" in changes[0]
    assert "seed 5 of " in changes[1]
    assert "seed 0 of " in changes[1]


def test_with_nothing_left_to_learn_it_says_so(tmp_path: Path, capsys: Capture) -> None:
    source = ("--annotated", *annotated(tmp_path), "--steps", "2", "--output", tmp_path / "out")
    assert train(capsys, *source).code == 0
    again = train(capsys, *source)
    assert again.code == 0
    assert complaint(again) == "2 steps of 2 are done: nothing is left to learn"


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, capsys: Capture) -> None:
    source = ("--annotated", *annotated(tmp_path), "--steps", "1", "--output", tmp_path / "out")
    assert train(capsys, *source).code == 0
    refused = train(capsys, *source, "--network", "starter")
    assert refused.code == 78
    assert "channels 8-16-24-32-48" in complaint(refused)
    assert "channels 16-32-96-224-352" in complaint(refused)


def test_a_damaged_checkpoint_is_refused_and_left_alone(tmp_path: Path, capsys: Capture) -> None:
    source = ("--annotated", *annotated(tmp_path), "--steps", "1", "--output", tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "checkpoint.pt").write_bytes(b"PK\x03\x04 half")
    refused = train(capsys, *source)
    assert refused.code == 78
    assert "the checkpoint is damaged" in complaint(refused)
    assert (tmp_path / "out" / "checkpoint.pt").read_bytes() == b"PK\x03\x04 half"


def test_a_rate_that_leads_nowhere_ends_it_and_keeps_the_last_good_checkpoint(tmp_path: Path, capsys: Capture) -> None:
    source = ("--annotated", *annotated(tmp_path), "--output", tmp_path / "out")
    assert train(capsys, *source, "--steps", "2").code == 0
    before = (tmp_path / "out" / "checkpoint.pt").read_bytes()
    ended = train(capsys, *source, "--steps", "40", "--rate", "1e30")
    assert ended.code == 70
    assert "the loss or its gradient is no number" in complaint(ended)
    assert "the checkpoint is that of step 2: look at them, or go on with a lower --rate" in complaint(ended)
    assert (tmp_path / "out" / "checkpoint.pt").read_bytes() == before
    names = (tmp_path / "out" / "diverged.txt").read_text().splitlines()
    assert len(names) == 2
    assert all("p" in name for name in names)


def test_broken_annotations_and_missing_pictures_end_it(tmp_path: Path, capsys: Capture) -> None:
    annotations, folder = annotated(tmp_path)
    end = ("--steps", "1", "--output", tmp_path / "out")
    broken = coco(tmp_path / "pictures")
    broken["annotations"][1]["keypoints"][0] = float("nan")
    refused = train(capsys, "--annotated", write(tmp_path / "nan.json", broken), folder, *end)
    assert refused.code == 66
    assert "annotation 1: keypoints with a value that is no number" in complaint(refused)
    refused = train(capsys, "--annotated", annotations, tmp_path / "gone", *end)
    assert refused.code == 66
    assert complaint(refused) == f"{tmp_path / 'gone'}: no such folder of pictures"


def test_an_output_that_is_a_file_is_told(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "out").touch()
    refused = train(capsys, "--scene", "1", "--output", tmp_path / "out")
    assert refused.code == 69
    assert complaint(refused) == f"--output {tmp_path / 'out'}: is no folder: name another folder"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(tmp_path: Path, capsys: Capture) -> None:
    refused = train(capsys, "--scene", "1", "--device", "cuda", "--output", tmp_path / "out")
    assert refused.code == 69
    assert "--device cuda: PyTorch finds no GPU" in complaint(refused)


def test_on_a_full_disk_it_ends_in_one_line_and_the_checkpoint_before_is_whole(tmp_path: Path, capsys: Capture) -> None:
    source = ("--annotated", *annotated(tmp_path), "--output", tmp_path / "out")
    assert train(capsys, *source, "--steps", "1").code == 0
    ended = finish(start(*source, "--steps", "2", "--no-export", max_file_bytes=50_000))
    assert ended.code == 69
    assert "checkpoint.pt: cannot be written: File too large" in complaint(ended)
    assert load_checkpoint(tmp_path / "out" / "checkpoint.pt").step == 1
    assert not list((tmp_path / "out").glob(".*"))


@needs_models
def test_photographs_are_labelled_and_learned_with_soft_targets(tmp_path: Path, capsys: Capture) -> None:
    pictures, teacher = tmp_path / "pictures", tmp_path / "heads.tflite"
    pictures.mkdir()
    shutil.copy(model("reference/squat.bmp"), pictures)
    cv2.imwrite(str(pictures / "nobody.png"), image())
    list(derive_file(model("movenet_singlepose_lightning_int8.tflite"), teacher, (128, 128)))
    boxes = write(tmp_path / "boxes.json", {"squat.bmp": [[0, 0, 1, 1, 0.9]], "nobody.png": []})
    words = (
        "--unlabelled",
        pictures,
        "--boxes",
        boxes,
        "--teacher",
        teacher,
        "--steps",
        "2",
        "--output",
        tmp_path / "o",
    )
    done = train(capsys, *words, "--soft", "1", "--side", "128")
    assert done.code == 0, done.err
    labels = json.loads((tmp_path / "o" / "labels_1.json").read_bytes())
    assert len(labels["images"]) == 2
    assert max(annotation.get("num_keypoints", 0) for annotation in labels["annotations"]) >= 10
    row = json.loads((tmp_path / "o" / "log.jsonl").read_text().splitlines()[0])
    assert row["soft"] > 0
    assert row["loss"] > row["soft"]
