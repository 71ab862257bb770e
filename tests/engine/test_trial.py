"""A model file that kills the runtime costs a line, never the agent."""

from pathlib import Path

import pytest

from command import run
from edge.engine import trial
from edge.engine.trial import try_model
from edge.errors import ModelError
from edge.poses.head_maps import HEADS
from head_maps import PEOPLE, head_maps
from tiny_models import echo_model, heads_model


@pytest.fixture
def crashing(tmp_path: Path) -> Path:
    """A file that LiteRT dies of, by SIGSEGV: its root table has no fields."""
    path = heads_model(
        tmp_path / "bad.tflite", {name: (values, None) for name, values in zip(HEADS, head_maps(*PEOPLE), strict=True)}
    )
    content = bytearray(path.read_bytes())
    content[16:20] = bytes(4)
    path.write_bytes(content)
    return path


def test_a_file_that_crashes_the_runtime_is_one_line(crashing: Path) -> None:
    with pytest.raises(ModelError) as caught:
        try_model(crashing)
    assert str(caught.value) == f"{crashing}: the runtime crashes with this model (SIGSEGV): its file is damaged"


def test_a_run_with_it_ends_with_the_line(crashing: Path) -> None:
    done = run("run", "--camera", "scene", "--model", crashing, "--jsonl", "-")
    assert (done.code, done.out) == (78, "")
    assert done.err == f"edge-pose: {crashing}: the runtime crashes with this model (SIGSEGV): its file is damaged\n"


def test_a_file_that_hangs_the_runtime_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "PYTHON", ("sh", "-c", "exec sleep 60"))
    monkeypatch.setattr(trial, "TIMEOUT_S", 0.2)
    with pytest.raises(ModelError, match=r"m\.tflite: the runtime hangs with this model"):
        try_model(tmp_path / "m.tflite")


@pytest.mark.parametrize("content", [None, b"", b"no model", b"\0\0\0\0TFL3"])
def test_faults_that_the_runtime_reports_are_left_to_who_loads_it(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "m.tflite"
    if content is not None:
        path.write_bytes(content)
    try_model(path)


def test_a_good_file_passes_at_its_size_and_at_another(tmp_path: Path) -> None:
    try_model(echo_model(tmp_path / "m.tflite"))
    try_model(tmp_path / "m.tflite", (160, 96))  # the run says that it is fixed
