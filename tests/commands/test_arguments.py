import argparse

import pytest

from edge.commands import meant
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


@pytest.mark.parametrize(
    ("words", "meant", "command"),
    [
        (["run", "--fps", "5"], "--set camera.fps=5", "run"),
        (["run", "--fps=5"], "--set camera.fps=5", "run"),
        (["run", "--rotate", "180", "--camera", "scene"], "--set camera.rotate=180", "run"),
        (["run", "--min-score", "0.3"], "--set poses.min_score=0.3", "run"),
        (["run", "--camera-fps"], "--set camera.fps=VALUE", "run"),
        (["run", "--password-file", "x"], "--set mqtt.password_file=x", "run"),
        (["run", "--source", "0"], "--camera", "run"),
        (["run", "--url", "mqtt://hall"], "--mqtt", "run"),
        (["run", "--verbose"], "--debug", "run"),
        (["run", "-v"], "--debug", "run"),
        (["run", "--broker", "hall"], "--mqtt", "run"),
        (["watch", "--name", "hall"], "--device", "watch"),
        (["demo", "--duration", "5"], "--seconds", "demo"),
    ],
)
def test_a_flag_of_other_programs_names_what_it_is_here(words: list[str], meant: str, command: str) -> None:
    flag = words[1].partition("=")[0]
    assert refusal(*words) == f"unknown flag {flag}: did you mean {meant}? (see edge-pose {command} --help)"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["run", "scene"], "unexpected scene: did you mean --camera scene? (see edge-pose run --help)"),
        (["watch", "hall"], "unexpected hall: did you mean --device hall? (see edge-pose watch --help)"),
        (["models", "list", "now"], "unexpected now (see edge-pose models list --help)"),
    ],
)
def test_a_word_without_a_flag_names_the_flag(words: list[str], meant: str) -> None:
    assert refusal(*words) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [("start", "run"), ("rnu", "run"), ("status", "watch"), ("diagnose", "doctor"), ("fetch", "models")],
)
def test_a_command_of_other_programs_names_what_it_is_here(word: str, meant: str) -> None:
    assert refusal(word) == f"unknown command {word}: did you mean {meant}? (see edge-pose --help)"


def test_every_word_for_a_flag_or_a_command_leads_to_one_that_exists() -> None:
    (group,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    commands: dict[str, argparse.ArgumentParser] = group.choices
    flags = {flag for command in commands.values() for action in command._actions for flag in action.option_strings}
    assert set(meant.COMMANDS.values()) <= set(commands)
    assert {f"--{name}" for name in meant.FLAGS.values()} <= flags
    assert set(meant.BARE_WORDS.values()) <= flags
