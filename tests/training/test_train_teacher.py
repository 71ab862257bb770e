"""A real model as the teacher: whom it sees close up it labels."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from data import model, needs_models
from edge.engine.litert import LiteRtEngine
from edge.errors import InputError, ModelError, UnavailableError
from edge.frame import Image
from edge.models.derive_file import derive_file
from edge.poses.heads import HeadsDecoder
from tiny_pose_nets import tiny_float_heads
from tools.train.data.coco import read_image
from tools.train.teacher.distillation import SoftTeacher
from tools.train.teacher.heads_model import find_model, load_heads
from tools.train.teacher.teacher import Teacher
from training.small import picture

pytestmark = needs_models

LIGHTNING = "movenet_singlepose_lightning_int8.tflite"


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("heads") / "heads.tflite"
    list(derive_file(model(LIGHTNING), path, (128, 128)))
    return path


def load(path: Path, side: int | None = None) -> LiteRtEngine:
    return load_heads(find_model(str(path)), side=side)


@pytest.fixture(scope="module")
def squat() -> tuple[Image, tuple[int, int]]:
    """A person in the left half of a wide picture, and the size that they have it in."""
    person = read_image(model("reference/squat.bmp"))
    height, width = person.shape[:2]
    wide = np.full((height, 2 * width, 3), 128, np.uint8)
    wide[:, :width] = person
    return wide, (width, height)


def test_a_person_in_a_box_is_labelled(heads: Path, squat: tuple[Image, tuple[int, int]]) -> None:
    image, (width, height) = squat
    boxes = np.array([[0, 0, width, height], [width * 1.2, 5, width * 1.8, height - 5]], np.float32)
    labelled = Teacher(load(heads)).label(image, boxes, np.array([0.9, 0.8], np.float32))
    assert len(labelled.people) == 1
    known = labelled.people[0][labelled.people[0, :, 2] > 0]
    assert len(known) >= 10
    assert known[:, 0].max() < width
    nose, ankle = labelled.people[0, 0], labelled.people[0, 15]
    assert nose[1] < ankle[1]
    assert labelled.boxes == pytest.approx(boxes[:1])
    assert labelled.ignored == pytest.approx(boxes[1:])  # nobody is there, which is left open


def test_an_unclear_box_is_not_labelled(heads: Path, squat: tuple[Image, tuple[int, int]]) -> None:
    image, (width, height) = squat
    boxes = np.array([[0, 0, width, height]], np.float32)
    labelled = Teacher(load(heads)).label(image, boxes, np.array([0.2], np.float32))
    assert len(labelled.people) == 0
    assert labelled.ignored == pytest.approx(boxes)


def test_the_same_person_is_labelled_once(heads: Path, squat: tuple[Image, tuple[int, int]]) -> None:
    image, (width, height) = squat
    boxes = np.array([[0, 0, width, height], [4, 2, width, height]], np.float32)
    labelled = Teacher(load(heads)).label(image, boxes, np.ones(2, np.float32))
    assert len(labelled.people) == 1


def test_a_teacher_finds_people_by_itself(heads: Path, squat: tuple[Image, tuple[int, int]]) -> None:
    image, (width, _height) = squat
    teacher = Teacher(load(heads))
    boxes, scores = teacher.find(image)
    best = boxes[scores.argmax()]
    assert 0 <= best[0] < best[2] <= width * 1.05
    assert 0 < scores.max() <= 1
    labelled = teacher.label(image, boxes, scores)
    assert len(labelled.people) >= 1


def test_soft_targets_are_the_models_own_maps(heads: Path, squat: tuple[Image, tuple[int, int]]) -> None:
    small = cv2.resize(squat[0][:, : squat[1][0]], (128, 128))
    views = [replace(picture(), image=np.asarray(each, np.uint8)) for each in (small, small[:, ::-1])]
    engine = load(heads)
    maps = SoftTeacher(lambda: engine).maps(views)
    assert maps.center.shape == (2, 1, 32, 32)
    assert maps.heatmap.shape == (2, 17, 32, 32)
    assert maps.regression.shape == maps.offset.shape == (2, 34, 32, 32)
    assert engine.spec.heads is not None
    rows = HeadsDecoder(engine.spec.heads).rows(engine.run(small[None]), max_people=1)[0]
    y, x = np.unravel_index(int(maps.center[0, 0].argmax()), (32, 32))
    nose = np.array(rows[0, :2]) * 32  # y, x in cells
    assert maps.center[0].max() > 0.3
    said = maps.regression[0, :2, y, x].numpy() + np.array([y, x])
    assert np.abs(said - nose).max() < 3
    assert 0 <= float(maps.heatmap.min()) <= float(maps.heatmap.max()) <= 1


def test_a_teacher_takes_the_size_of_the_soft_targets_unless_its_own_is_fixed(heads: Path, tmp_path: Path) -> None:
    assert load(heads, 192).spec.input_size == (192, 192)
    fixed = tiny_float_heads(tmp_path / "fixed.tflite", height=128, width=128, padding=1)  # VALID
    with pytest.raises(ModelError, match=r"its input is 128x128 .*192x192 is needed: .*derive SOURCE --size 192x192"):
        load(fixed, 192)


def test_a_model_without_heads_is_refused() -> None:
    with pytest.raises(ModelError, match="this model is of kind singlepose"):
        load(model(LIGHTNING))


def test_a_missing_file_and_an_unknown_name_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such model file"):
        find_model(str(tmp_path / "gone.tflite"))
    with pytest.raises(UnavailableError):
        find_model("no-such-model")
