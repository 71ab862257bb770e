import pytest

from edge.commands.arguments import parser
from edge.errors import UsageError


def refusal(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        parser().parse_args(words)
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "flag", "near", "command"),
    [
        (["run", "--frames", "5"], "--frames", "--max-frames", "run"),
        (["run", "--camera", "scene", "--nopace"], "--nopace", "--no-pace", "run"),
        (["demo", "--secnds=3"], "--secnds", "--seconds", "demo"),
        (["models", "fetch", "--accept-digset", "0"], "--accept-digset", "--accept-digest", "models fetch"),
    ],
)
def test_an_unknown_flag_names_the_nearest_of_its_command(words: list[str], flag: str, near: str, command: str) -> None:
    assert refusal(*words) == f"unknown flag {flag}: did you mean {near}? (see edge-pose {command} --help)"


@pytest.mark.parametrize("flag", ["--frobnicate", "--foo", "-x"])
def test_a_flag_that_is_like_no_other_gets_no_guess(flag: str) -> None:
    assert refusal("run", flag) == f"unknown flag {flag} (see edge-pose run --help)"


def test_every_unknown_flag_is_named() -> None:
    text = refusal("run", "--frames", "5", "--jsnol", "-", "--zzz")
    assert text.startswith(
        "unknown flag --frames: did you mean --max-frames?; unknown flag --jsnol: did you mean --jsonl?"
    )
    assert "unknown flag --zzz" in text


def test_a_flag_that_help_does_not_show_is_not_suggested() -> None:
    assert refusal("config", "check", "--confg", "x") == "unknown flag --confg (see edge-pose config check --help)"


@pytest.mark.parametrize(
    ("words", "kind", "near", "command"),
    [
        (["rnu"], "command rnu", "run", "edge-pose"),
        (["model", "list"], "command model", "models", "edge-pose"),
        (["config", "chek"], "action chek", "check", "edge-pose config"),
    ],
)
def test_an_unknown_command_names_the_nearest(words: list[str], kind: str, near: str, command: str) -> None:
    assert refusal(*words) == f"unknown {kind}: did you mean {near}? (see {command} --help)"


def test_a_command_that_is_like_no_other_gets_the_list_of_all() -> None:
    listed = "run, demo, watch, models, bench, doctor, config"
    assert refusal("frobnicate") == f"unknown command frobnicate: one of {listed} (see edge-pose --help)"


def test_a_word_too_many_is_named_without_its_password() -> None:
    text = refusal("run", "mqtt://ada:secret@hall.local")
    assert text.startswith("unexpected mqtt://")
    assert "secret" not in text
    assert text.endswith("(see edge-pose run --help)")


def test_a_word_with_line_ends_stays_on_one_line() -> None:
    assert "\n" not in refusal("run", "--fra\nmes") + refusal("ru\nn") + refusal("run", "a\nb")
