"""A teacher labels each picture once, and what it labelled is kept."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import InputError
from edge.frame import Image
from tools.train.data.coco import CocoSource
from tools.train.data.picture import Floats
from tools.train.teacher.labelling import Unlabelled, label_pictures
from tools.train.teacher.teacher import Labelled
from training.small import SIZE, coco, person, write


class Clerk:
    """A teacher that finds one person in each picture at 12, 8, labels the first box, and stops when told to."""

    def __init__(self, last: int = 99) -> None:
        self.seen: list[tuple[Floats, Floats]] = []
        self._last = last

    def find(self, image: Image) -> tuple[Floats, Floats]:
        assert image.shape[2] == 3
        return np.array([[12, 8, 42, 78]], np.float32), np.ones(1, np.float32)

    def label(self, image: Image, boxes: Floats, scores: Floats) -> Labelled:
        if len(self.seen) == self._last:
            raise KeyboardInterrupt
        self.seen.append((boxes, scores))
        assert image.shape[2] == 3
        found = [person(*box[:2]) for box in boxes[:1]]
        return Labelled(np.array(found, np.float32).reshape(-1, 17, 3), boxes[:1], scores[:1], boxes[1:])


def label(tmp_path: Path, clerk: Clerk, boxes: Path | None = None, digest: str = "d") -> Path:
    cache = tmp_path / "labels.json"
    label_pictures(Unlabelled(tmp_path / "pictures", boxes), clerk, cache, digest, lambda *_: None)
    return cache


def boxes_of(tmp_path: Path, **more: Any) -> Path:
    found = coco(tmp_path / "pictures")
    scaled = [{**image, "width": 2 * SIZE[0], "height": SIZE[1]} for image in found["images"]]
    annotations = [
        {"image_id": 1, "bbox": [20, 8, 60, 70], "score": 0.9},
        {"image_id": 1, "bbox": [100, 10, 20, 30], "score": 0.2},
    ]
    return write(tmp_path / "boxes.json", {"images": scaled, "annotations": annotations, **more})


def test_the_teacher_gets_the_boxes_in_the_pixels_of_the_file(tmp_path: Path) -> None:
    clerk = Clerk()
    cache = label(tmp_path, clerk, boxes_of(tmp_path))
    assert clerk.seen[0][0].tolist() == [[10, 8, 40, 78], [50, 10, 60, 40]]
    assert clerk.seen[0][1] == pytest.approx([0.9, 0.2])
    assert len(clerk.seen[1][0]) == 0
    shown = CocoSource(cache, tmp_path / "pictures").at(0)
    assert shown.people[0] == pytest.approx(person(10, 8), abs=0.06)
    assert shown.ignored.tolist() == [[50, 10, 60, 40]]
    assert shown.boxes[0, 1] == 8  # of the whole person, and not of the keypoints alone
    assert shown.boxes[0, 3] == 78


def test_without_boxes_the_teacher_looks_for_people_itself(tmp_path: Path) -> None:
    coco(tmp_path / "pictures" / "below", 2)
    cache = label(tmp_path, Clerk())
    source = CocoSource(cache, tmp_path / "pictures")
    assert len(source) == 2
    assert source.at(1).people[0] == pytest.approx(person(12, 8), abs=0.06)
    assert source.at(1).name.endswith("below/p2.png")


def test_labels_are_made_once(tmp_path: Path) -> None:
    boxes = boxes_of(tmp_path)
    label(tmp_path, Clerk(), boxes)
    label(tmp_path, Clerk(last=0), boxes)


def test_a_stopped_labelling_goes_on_where_it_was(tmp_path: Path) -> None:
    boxes = boxes_of(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        label(tmp_path, Clerk(last=2), boxes)
    assert len(CocoSource(tmp_path / "labels.json", tmp_path / "pictures")) == 2
    clerk = Clerk()
    cache = label(tmp_path, clerk, boxes)
    assert len(clerk.seen) == 1
    found = json.loads(cache.read_bytes())
    assert [image["file_name"] for image in found["images"]] == ["p1.png", "p2.png", "p3.png"]
    assert len({annotation["id"] for annotation in found["annotations"]}) == len(found["annotations"]) == 2


def test_labels_of_another_teacher_are_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    boxes = boxes_of(tmp_path)
    label(tmp_path, Clerk(), boxes)
    clerk = Clerk()
    with caplog.at_level(logging.WARNING):
        label(tmp_path, clerk, boxes, digest="other")
    assert len(clerk.seen) == 3
    assert "labelled again" in caplog.text


def test_damaged_labels_are_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    boxes = boxes_of(tmp_path)
    (tmp_path / "labels.json").write_text("{", encoding="utf-8")
    clerk = Clerk()
    label(tmp_path, clerk, boxes)
    assert len(clerk.seen) == 3
    assert "cannot be read" in caplog.text


def test_an_unreadable_picture_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    boxes = boxes_of(tmp_path)
    (tmp_path / "pictures" / "p2.png").write_bytes(b"no picture")
    cache = label(tmp_path, Clerk(), boxes)
    assert len(CocoSource(cache, tmp_path / "pictures")) == 2
    assert "p2.png: cannot be read as a picture: it is left out" in caplog.text


def test_no_pictures_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder of pictures"):
        label(tmp_path, Clerk())
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match="no pictures in it"):
        label(tmp_path, Clerk())
    (tmp_path / "pictures" / "p.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="not one of the 1 pictures can be read"):
        label(tmp_path, Clerk())
    assert not (tmp_path / "labels.json").exists()
