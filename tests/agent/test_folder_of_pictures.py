"""Pictures of a folder have an input of their own shape each, whatever picture comes first."""

import json
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from command import NO_MIRROR, run
from edge.engine.litert import LiteRtEngine
from edge.estimator import Estimator
from edge.frame import Image
from edge.models.selection import STARTER
from edge.payload import schemas
from edge.scene.scene import Scene
from tiny_models import echo_model
from videos import write_pictures


def lines_of(*words: str | Path) -> list[dict[str, Any]]:
    done = run(*words)
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


FILE = Path(__file__).parents[2] / "models" / "starter.tflite"


@pytest.fixture(scope="module")
def pictures() -> dict[str, Image]:
    """A panorama that sorts first, landscapes of 4:3, and one upright picture of each person at the front."""
    scene = Scene(size=(960, 720), seed=3)
    made = {"0-panorama.png": np.tile(scene.draw(0)[0][:110], (1, 2, 1))}
    for index in (40, 90, 140):
        image, people = scene.draw(index)
        made[f"1-hall-{index}.png"] = image
        tallest = max(people, key=lambda person: person.box_xyxy[3] - person.box_xyxy[1])
        centre = int(np.clip(tallest.box_xyxy[[0, 2]].mean() * 960, 203, 757))
        made[f"2-upright-{index}.png"] = np.ascontiguousarray(image[:, centre - 203 : centre + 202])
    return made


def test_a_panorama_that_sorts_first_does_not_empty_the_others(tmp_path: Path, pictures: dict[str, Image]) -> None:
    for name, image in pictures.items():
        cv2.imwrite(str(tmp_path / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    words = ("--model", STARTER, "--no-pace", "--set", "track.enabled=false", "--set", "smooth.enabled=false")
    done = run("run", "--camera", tmp_path, "--jsonl", "-", *words, env=NO_MIRROR)
    assert done.code == 0, done.err
    found = [len(json.loads(line)["poses"]) for line in done.out.splitlines()]
    alone = [len(Estimator(LiteRtEngine(FILE, name="m")).poses(pictures[name])) for name in sorted(pictures)]
    assert found == alone
    assert min(found[1:]) >= 1
    assert done.err.count("model input") == 3  # one line for each shape


def test_every_line_names_its_picture(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "pictures", count=3)
    (pictures / "001.png").write_bytes(b"no picture")
    write_pictures(tmp_path / "one", count=1)
    model = echo_model(tmp_path / "own.tflite")
    lines = lines_of("run", "--camera", pictures, "--model", model, "--no-pace", "--jsonl", "-")
    assert [(line["seq"], line["source"]) for line in lines] == [(0, "000.png"), (2, "002.png")]
    (line,) = lines_of("run", "--camera", tmp_path / "one/000.png", "--model", model, "--no-pace", "--jsonl", "-")
    assert line["source"] == "000.png"
    jsonschema.validate(line, schemas()["pose"])
    (line,) = lines_of("run", "--camera", "scene", "--model", model, "--max-frames", "1", "--jsonl", "-")
    assert "source" not in line
