"""The command line of the training; none of it needs PyTorch."""

import importlib.util
from pathlib import Path

import pytest

from command import use_tool
from edge.errors import UsageError
from tools.train.arguments import parse
from tools.train.options import AnnotatedPhotographs, UnlabelledPhotographs

OUT = ("--output", "out")


def test_sources_come_with_their_weights() -> None:
    annotated = ["--annotated", "a.json", "a", "--annotated", "b.json", "b", "0.3"]
    unlabelled = ["--unlabelled", "c", "0.5", "--boxes", "c.json", "--unlabelled", "d", "--teacher", "lightning"]
    options = parse([*OUT, "--scene", "0.2", *annotated, *unlabelled])
    assert options.scene == 0.2
    assert options.annotated == (
        AnnotatedPhotographs(Path("a.json"), Path("a"), 1.0),
        AnnotatedPhotographs(Path("b.json"), Path("b"), 0.3),
    )
    assert options.unlabelled == (
        UnlabelledPhotographs(Path("c"), 0.5, Path("c.json")),
        UnlabelledPhotographs(Path("d"), 1.0, None),
    )
    assert options.teacher == "lightning"


def test_what_a_model_labelled_is_told_from_what_people_did() -> None:
    options = parse([*OUT, "--labelled", "b.json", "b", "0.4", "--annotated", "a.json", "a"])
    assert options.annotated == (
        AnnotatedPhotographs(Path("a.json"), Path("a"), 1.0),
        AnnotatedPhotographs(Path("b.json"), Path("b"), 0.4, by_model=True),
    )


def test_a_training_begins_with_random_weights_unless_a_model_is_named() -> None:
    assert parse([*OUT, "--scene", "1"]).begin_with is None
    assert parse([*OUT, "--scene", "1", "--begin-with", "a.tflite"]).begin_with == Path("a.tflite")


def test_one_command_line_leaves_nothing_for_the_next() -> None:
    parse([*OUT, "--annotated", "a.json", "a", "--unlabelled", "c", "--teacher", "x"])
    again = parse([*OUT, "--scene", "1"])
    assert again.annotated == ()
    assert again.unlabelled == ()


def test_the_size_is_told_height_first() -> None:
    assert parse([*OUT, "--scene", "1", "--size", "160x256"]).size == (256, 160)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "nothing to learn from"),
        (["--labelled", "a.json"], "--labelled: needs JSON FOLDER [WEIGHT], not 1 words: a.json"),
        (["--annotated", "a.json"], "--annotated: needs JSON FOLDER [WEIGHT], not 1 words: a.json"),
        (["--annotated", "a.json", "a", "much"], "--annotated: 'much' is not a number above 0"),
        (["--annotated", "a.json", "a", "0"], "--annotated: '0' is not a number above 0"),
        (["--unlabelled", "a", "1", "2", "--teacher", "t"], "--unlabelled: needs FOLDER [WEIGHT]"),
        (["--unlabelled", "a"], "--unlabelled: needs --teacher"),
        (["--scene", "1", "--soft", "1"], "--soft: needs --teacher"),
        (["--scene", "1", "--teacher", "t"], "--teacher: there is nothing for it to do"),
        (["--scene", "1", "--boxes", "b.json"], "--boxes: follows the --unlabelled"),
        (["--scene", "nan"], "'nan' is not a number above 0"),
        (["--scene", "1", "--steps", "0"], "'0' is not a whole number from 1 on"),
        (["--scene", "1", "--side", "100"], "'100' is not a multiple of 32 up to 1024"),
        (["--scene", "1", "--checkpoint-every", "61"], "'61' is not a number of seconds up to 60"),
        (["--scene", "1", "--seed", "-1"], "'-1'"),
        (["--scene", "1", "--name", "a/b"], "--name 'a/b': a plain name"),
        (["--scene", "1", "--size", "100x100"], "100x100"),
        (["--scene", "1", "--stepps", "3"], "unrecognized arguments: --stepps 3"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([*OUT, *words])
    assert complaint in str(caught.value)


def test_help_names_every_option_and_needs_nothing() -> None:
    shown = use_tool("train", "--help")
    assert shown.code == 0
    for option in (
        "--annotated",
        "--labelled",
        "--begin-with",
        "--scene",
        "--unlabelled",
        "--boxes",
        "--teacher",
        "--soft",
        "--precision",
        "--output",
    ):
        assert option in shown.out


def test_a_wrong_flag_is_one_line_and_64() -> None:
    refused = use_tool("train", "--scene", "1", "--colour", "blue", *OUT)
    assert refused.code == 64
    assert refused.err == "train: unrecognized arguments: --colour blue (see --help)\n"


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed here")
def test_without_pytorch_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    refused = use_tool("train", "--scene", "1", "--output", str(tmp_path / "out"))
    assert refused.code == 69
    assert refused.err == (
        "train: PyTorch is not installed: pip install 'edge-pose[train]', or `make training` and then "
        ".venv-workstation/bin/python -m tools.train\n"
    )
    assert not (tmp_path / "out").exists()
