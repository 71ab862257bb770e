"""Pictures of a folder have an input of their own shape each, whatever picture comes first."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from command import NO_MIRROR, run
from edge.engine.litert import LiteRtEngine
from edge.estimator import Estimator
from edge.frame import Image
from edge.models.selection import STARTER
from edge.scene.scene import Scene

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
