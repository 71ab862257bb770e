"""The whole way, as a user goes it: learn from the scene, be killed, go on, and run what came out."""

import json
import select
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge.engine.litert import LiteRtEngine
from tools.train.run.checkpoint import load_checkpoint
from training.running import TIMEOUT_S, finish, start

STEPS = 240
SCENE = ("--scene", "1", "--batch", "8", "--side", "96", "--steps", str(STEPS), "--rate", "0.01")


def wait_for_progress(process: subprocess.Popen[str]) -> str:
    """Wait until it tells of its first checkpoint."""
    assert process.stderr is not None
    while select.select([process.stderr], [], [], TIMEOUT_S)[0]:
        line = process.stderr.readline()
        if "step " in line or not line:
            return line
    raise TimeoutError


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_it_learns_from_the_scene_survives_a_kill_and_makes_models_that_run(tmp_path: Path) -> None:
    words = (*SCENE, "--size", "64x96", "--name", "small", "--output", tmp_path)
    killed = start(*words, "--checkpoint-every", "1")
    line = wait_for_progress(killed)
    assert ", loss " in line
    assert " left" in line
    killed.kill()
    assert finish(killed).code == -signal.SIGKILL
    kept = load_checkpoint(tmp_path / "checkpoint.pt").step
    assert 0 < kept < STEPS

    done = finish(start(*words))
    assert done.code == 0, done.err
    assert f"goes on from step {kept} of {STEPS}" in done.err
    assert load_checkpoint(tmp_path / "checkpoint.pt").step == STEPS

    lost = [row["loss"] for row in rows(tmp_path)]
    assert [row["step"] for row in rows(tmp_path)] == sorted({row["step"] for row in rows(tmp_path)})
    assert np.mean(lost[-5:]) < 0.6 * np.mean(lost[:3])

    assert done.out.split() == [str(tmp_path / "small_float.tflite"), str(tmp_path / "small.tflite")]
    engine = LiteRtEngine(tmp_path / "small.tflite", name="small")
    assert engine.spec.kind == "heads"
    assert engine.spec.input_size == (96, 64)
    assert engine.spec.input_dtype == "uint8"
    heat = engine.run(np.zeros((1, 64, 96, 3), np.uint8))[1]
    assert heat.shape == (1, 16, 24, 17)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_all_that_was_learned(tmp_path: Path, number: signal.Signals, code: int) -> None:
    process = start(*SCENE[:-4], "--steps", "100000", "--checkpoint-every", "1", "--output", tmp_path)
    wait_for_progress(process)
    process.send_signal(number)
    ended = finish(process)
    assert ended.code == code, ended.err
    last = ended.err.splitlines()[-1]
    assert last == "train: stopped; what was done so far is kept: the same command goes on from there"
    assert load_checkpoint(tmp_path / "checkpoint.pt").step > 0
    assert not list(tmp_path.glob(".*"))
