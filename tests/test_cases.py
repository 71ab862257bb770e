"""Inputs on which the program once failed, through the command line: each is read, or refused in one line."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from command import Outcome, run
from data import DATA_VARIABLE, case, model, needs_models
from edge.download.archive import ArchiveError, extract_member
from tiny_models import echo_model

HAS_CASES = bool(os.environ.get(DATA_VARIABLE)) and case("media").is_dir()
pytestmark = pytest.mark.skipif(not HAS_CASES, reason=f"{DATA_VARIABLE} names no folder with cases")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return echo_model(tmp_path / "tiny.tflite")


def played(name: str, own: Path, *words: str) -> tuple[Outcome, list[dict[str, Any]]]:
    done = run("run", "--camera", case(name), "--model", own, "--jsonl", "-", *words)
    return done, [json.loads(line) for line in done.out.splitlines()]


def refusal(done: Outcome, code: int) -> str:
    """Return the last line, after those of what was tried."""
    assert done.code == code, done.err
    assert done.out == ""
    last = done.err.splitlines()[-1]
    assert last.startswith("edge-pose: ")
    assert "a bug" not in done.err
    assert "Traceback" not in done.err
    return last


@needs_models
@pytest.mark.parametrize("name", ["rot90", "rot180"])
def test_clips_of_a_phone_stand_upright(name: str) -> None:
    own = model("movenet_multipose_f16_rebuilt.tflite")
    _, upright = played("media/up.mp4", own, "--no-pace", "--max-frames", "3")
    done, lines = played(f"media/{name}.mp4", own, "--no-pace", "--max-frames", "3")
    assert done.code == 0, done.err
    assert [line["size"] for line in lines] == [line["size"] for line in upright]
    for line, wanted in zip(lines, upright, strict=True):
        assert line["poses"][0]["score"] > wanted["poses"][0]["score"] - 0.1
        assert line["poses"][0]["box"] == pytest.approx(wanted["poses"][0]["box"], abs=0.05)


@pytest.mark.parametrize(("name", "frames"), [("gap.ts", 150), ("fps600.avi", 75), ("up.mp4", 75)])
def test_every_frame_of_a_recording_comes_and_nothing_is_called_truncated(name: str, frames: int, tiny: Path) -> None:
    done, lines = played(f"media/{name}", tiny, "--no-pace")
    assert done.code == 0, done.err
    assert len(lines) == frames
    assert "truncated" not in done.err


@pytest.mark.parametrize("name", ["i_h264.mp4", "av1.mp4"])
def test_video_that_this_opencv_cannot_show_is_no_empty_room(name: str, tiny: Path) -> None:
    done, lines = played(f"media/{name}", tiny, "--no-pace")
    if done.code == 0:
        assert len(lines) >= 25
    else:
        assert re.search("interlaced|codec|not one frame", refusal(done, 66))


def test_sound_is_no_video(tiny: Path) -> None:
    assert "audio.m4a" in refusal(played("media/audio.m4a", tiny, "--no-pace")[0], 66)


@pytest.mark.parametrize(
    "name", ["alpha.png", "exif2.webp", "exif6.webp", "fill.jpg", "fill_sos.jpg", "jfif.jfif", "one.png", "sixteen.png"]
)
def test_odd_pictures_are_read(name: str, tiny: Path) -> None:
    done, lines = played(f"pictures/{name}", tiny, "--no-pace")
    assert done.code == 0, done.err
    assert len(lines) == 1


@pytest.mark.parametrize("name", ["avif.avif", "phone.heic", "noeoi.jpg"])
def test_pictures_that_not_every_opencv_reads_are_read_or_refused_in_a_line(name: str, tiny: Path) -> None:
    done, lines = played(f"pictures/{name}", tiny, "--no-pace")
    if done.code == 0:
        assert len(lines) == 1
    else:
        assert name in refusal(done, 66)


@pytest.mark.parametrize("name", ["p30k.png", "jlie.jpg"])
def test_pictures_of_gigabytes_are_refused_by_their_header(name: str, tiny: Path) -> None:
    assert name in refusal(played(f"attacks/{name}", tiny, "--no-pace")[0], 66)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model_abort_660.tflite", "the runtime crashes with this model (SIG"),
        ("model_heads_indexerror.tflite", "the maps of its heads have different sizes"),
        ("model_heads_offset_1e38.tflite", "scaled or shifted beyond"),
    ],
)
def test_damaged_models_are_refused_in_a_line(name: str, words: str) -> None:
    done = run("run", "--camera", "scene", "--max-frames", "1", "--jsonl", "-", "--model", case(f"models/{name}"))
    assert words in refusal(done, 78)


def test_an_archive_of_95_bytes_does_not_become_gigabytes(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="unpacks to far more than a model"):
        extract_member(case("attacks/sparse_bomb.tar.gz"), "m.tflite", tmp_path / "m.tflite")
    assert not (tmp_path / "m.tflite").exists() or (tmp_path / "m.tflite").stat().st_size == 0
