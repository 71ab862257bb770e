"""The model in the package is what it should be; see `test_choice.py` for when it is used."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from command import NO_MIRROR, Outcome, run, use_tool
from edge.engine.litert import LiteRtEngine
from edge.errors import EdgeError
from edge.models.entry import ModelEntry
from edge.models.files import resolve
from edge.models.manifest import load_manifest
from edge.models.selection import PACKAGE_ONLY, STARTER
from edge.poses.head_maps import HEADS
from edge.tflite.notes import read_notes

PROJECT = Path(__file__).parents[2]
FILE = PROJECT / "models" / "starter.tflite"
MAX_BYTES = 1_500_000
MIN_FOUND = 0.95
FRAMES = 30


@pytest.fixture(scope="module")
def entry() -> ModelEntry:
    return load_manifest().entry(STARTER)


@pytest.fixture(scope="module")
def engine() -> LiteRtEngine:
    return LiteRtEngine(FILE, name=STARTER)


def test_it_has_the_digest_of_the_manifest(entry: ModelEntry) -> None:
    assert entry.digest == entry.digest_of(FILE), "see 'The starter' in models/README.md for how to note a new one"
    assert (entry.kind, entry.bundled) == ("heads", True)


def test_it_is_the_file_of_the_package(entry: ModelEntry) -> None:
    path = resolve(STARTER, load_manifest(), PACKAGE_ONLY).path
    assert path.read_bytes() == FILE.read_bytes()
    assert path.name == entry.file


def test_git_and_the_package_take_it_along() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", FILE, PROJECT / "edge" / FILE.name],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ignored.returncode not in (0, 1):
        pytest.skip(f"not a git checkout: {ignored.stderr}")
    assert ignored.stdout == ""


def test_it_is_small_enough_for_the_repository() -> None:
    assert FILE.stat().st_size <= MAX_BYTES


def test_it_takes_pixels_and_gives_the_four_maps_at_a_quarter_of_its_size(engine: LiteRtEngine) -> None:
    spec = engine.size_for((1280, 720))
    assert (spec.kind, spec.input_dtype, engine.is_dynamic) == ("heads", "uint8", True)
    width, height = spec.input_size
    assert width % 32 == height % 32 == 0
    assert width > height


def test_it_says_what_it_is_in_its_notes() -> None:
    notes = read_notes(FILE)
    assert notes is not None
    assert (notes.kind, sorted(notes.heads), notes.quantization) == ("heads", sorted(HEADS[:4]), "int8")


def test_all_of_it_runs_on_an_edge_tpu() -> None:
    done = use_tool("edgetpu", FILE, "--min-tpu", "100")
    assert done.code == 0, done.err


def test_it_finds_the_people_of_the_scene(engine: LiteRtEngine) -> None:
    width, height = engine.size_for((1280, 720)).input_size
    words = ["--model", str(FILE), "--size", f"{height}x{width}", "--frames", str(FRAMES), "--json"]
    done = use_tool("evaluate.scene_score", *words)
    assert done.code == 0, done.err
    (figures,) = json.loads(done.out)
    assert figures["people"] > FRAMES
    assert figures["found"] >= MIN_FOUND


# What the commands say


def offline(*words: str) -> Outcome:
    return run(*words, env=NO_MIRROR)


def messages(outcome: Outcome) -> list[Any]:
    assert outcome.code == 0, outcome.err
    return [json.loads(line) for line in outcome.out.splitlines()]


def warnings(outcome: Outcome) -> list[str]:
    return [line for line in outcome.err.splitlines() if "from the package is used" in line]


SCENE = ("run", "--camera", "scene", "--no-pace", "--max-frames", "3", "--jsonl", "-")


def test_a_run_with_no_network_finds_people_and_says_in_one_line_that_it_is_the_starter() -> None:
    outcome = offline(*SCENE)
    assert [message["model"] for message in messages(outcome)] == ["starter"] * 3
    assert all(message["poses"] for message in messages(outcome))
    (line,) = warnings(outcome)
    assert "model 'movenet-multipose' cannot be had: " in line
    assert "edge-pose models fetch" in line


def test_who_chooses_the_starter_is_not_warned() -> None:
    outcome = offline(*SCENE, "--model", "starter")
    assert {message["model"] for message in messages(outcome)} == {"starter"}
    assert not warnings(outcome)


@pytest.mark.parametrize("how", ["flag", "config"])
def test_the_default_by_its_name_is_a_choice_that_fails_where_it_cannot_be_had(how: str, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[model]\nname = "movenet-multipose-lightning-f16"\n')
    more = ("--model", "movenet-multipose-lightning-f16") if how == "flag" else ("--config", str(config))
    outcome = offline(*SCENE, *more)
    assert outcome.code == 69
    assert not warnings(outcome)
    assert outcome.out == ""


def test_models_tell_that_it_is_in_the_package_with_nothing_to_fetch() -> None:
    (line,) = [line for line in offline("models", "list").out.splitlines() if line.split()[:1] == [STARTER]]
    assert line.split()[1:6] == ["heads", "ok", "in", "the", "package"]
    shown = dict(line.split(None, 1) for line in offline("models", "show", STARTER).out.splitlines())
    assert shown["comes"] == "with the program"
    fetched = offline("models", "fetch", STARTER)
    assert (fetched.code, fetched.err) == (0, "")
    assert fetched.out.startswith("starter: here, in the package: nothing to fetch (")
    assert offline("models", "verify", STARTER).out.startswith("starter: ok (")


def test_a_damaged_file_could_not_be_used(tmp_path: Path) -> None:
    path = tmp_path / "half.tflite"
    path.write_bytes(FILE.read_bytes()[: FILE.stat().st_size // 2])
    with pytest.raises(EdgeError):
        LiteRtEngine(path, name=STARTER)


TOO_FAST = ("run", "--camera", "scene", "--set", "camera.fps=1000", "--set", "model.min_fps=1000", "--jsonl", "-")


def test_a_run_takes_a_smaller_input_where_the_machine_cannot_hold_the_rate_and_says_so() -> None:
    outcome = offline(*TOO_FAST, "--max-frames", "60", "--model", "starter")
    assert outcome.code == 0
    (line,) = [line for line in outcome.err.splitlines() if "would give" in line]
    assert "model input 160x256 (HxW): 256x448 would give" in line
    assert " fps here, " in line


@pytest.mark.parametrize("how", [("--no-pace",), ("--set", "model.size=256x448")])
def test_a_run_without_a_pace_or_with_a_size_of_its_own_keeps_it(how: tuple[str, ...]) -> None:
    outcome = offline(*TOO_FAST, "--max-frames", "60", "--model", "starter", *how)
    assert outcome.code == 0
    assert "model input 448x256 (width x height)" in outcome.err
    assert "fps here" not in outcome.err
