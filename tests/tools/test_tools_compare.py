"""The tools that compare models measure what was asked for, or say in one line why not."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from command import NO_MIRROR, use_tool
from data import needs_models
from tiny_models import echo_model


@pytest.fixture
def nobody(tmp_path: Path) -> list[str | Path]:
    """Flags for one picture on which nobody is annotated."""
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((90, 160, 3), np.uint8))
    image = {"id": 1, "file_name": "wide.png", "width": 160, "height": 90}
    annotations = tmp_path / "people.json"
    annotations.write_text(json.dumps({"images": [image], "annotations": []}))
    return ["--images", tmp_path, "--annotations", annotations]


@pytest.mark.parametrize("size", ["256", "0x64", "100x96", "64x96x3", ""])
def test_a_size_that_is_none_is_one_line_and_64(nobody: list[str | Path], size: str) -> None:
    done = use_tool("evaluate.model_table", *nobody, f"own.tflite@{size}")
    assert (done.code, len(done.err.splitlines())) == (64, 1)
    assert f"'{size}'" in done.err
    assert "auto" not in done.err
    assert "HxW" in done.err


@pytest.mark.parametrize("size", ["100", "100x96", "auto"])
def test_a_size_for_the_steps_of_the_recipe_is_checked_likewise(nobody: list[str | Path], size: str) -> None:
    done = use_tool("convert.int8_steps", "model", "--calibration", "c", *nobody, "--size", size)
    assert (done.code, len(done.err.splitlines())) == (64, 1)
    assert "HxW" in done.err or "multiple of 32" in done.err


def test_a_saved_model_that_is_not_there_is_told_as_such(nobody: list[str | Path], tmp_path: Path) -> None:
    folder = tmp_path / "none"
    done = use_tool("convert.int8_steps", folder, "--calibration", "c", *nobody)
    assert (done.code, done.err) == (
        66,
        f"int8_steps: {folder}: no such SavedModel folder, archive or model name\n",
    )


def test_a_size_that_a_model_does_not_have_is_refused_and_its_own_is_taken(
    nobody: list[str | Path], tmp_path: Path
) -> None:
    own = echo_model(tmp_path / "own.tflite", height=64, width=96)
    done = use_tool("evaluate.model_table", *nobody, f"{own}@96x96")
    assert (done.code, done.err) == (64, f"model_table: {own}: its size is fixed, 64x96: leave @HxW out\n")
    assert use_tool("evaluate.model_table", *nobody, "--json", f"{own}@64x96").code == 0


def test_an_at_sign_in_a_path_is_no_size_and_where_nobody_is_there_is_no_ap(
    nobody: list[str | Path], tmp_path: Path
) -> None:
    (tmp_path / "x@y").mkdir()
    own = echo_model(tmp_path / "x@y" / "o.tflite", height=64, width=96)
    done = use_tool("evaluate.model_table", *nobody, own)
    assert done.code == 0, done.err
    assert "| `o` | 64x96 |" in done.out
    assert " | - | - | - | - | " in done.out
    (row,) = json.loads(use_tool("evaluate.model_table", *nobody, "--json", own).out)
    assert row["AP"] is None


@needs_models
def test_a_model_that_is_made_of_another_is_made(nobody: list[str | Path], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    env = {"EDGE_POSE_CACHE": str(cache), **{name: NO_MIRROR[name] for name in ("http_proxy", "https_proxy")}}
    done = use_tool("evaluate.model_table", *nobody, "movenet-lightning-heads-int8", env=env)
    assert "| `movenet-lightning-heads-int8` | 256x256 |" in done.out
    assert [path.name for path in cache.glob("*.tflite")] == ["movenet_lightning_heads_int8_256x256.tflite"]
