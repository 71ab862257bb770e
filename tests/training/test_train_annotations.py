"""Annotations are read whole, or refused in one line that says what is wrong."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import InputError
from tools.train.data.annotations import read_annotations
from tools.train.data.picture import bounds
from training.small import SIZE, coco, person, write

Change = Callable[[dict[str, Any]], object]


def test_people_are_learned_and_all_others_are_boxes(tmp_path: Path) -> None:
    found = coco(tmp_path / "pictures", 2)
    found["annotations"] += [
        {"image_id": 2, "keypoints": [0] * 51, "bbox": [1, 2, 30, 40]},
        {"image_id": 2, "bbox": [5, 6, 7, 8], "score": 0.3},
        {"image_id": 2, "keypoints": person().ravel().tolist(), "bbox": [0, 0, 60, 80], "iscrowd": 1},
    ]
    one, two = read_annotations(write(tmp_path / "a.json", found), tmp_path / "pictures")
    assert one.path == tmp_path / "pictures" / "p1.png"
    assert one.size == SIZE
    assert one.people == pytest.approx(person(10)[None])
    assert one.boxes == pytest.approx(np.array([[10, 10, 40, 80]]))
    assert two.others.tolist() == [[1, 2, 31, 42], [5, 6, 12, 14], [0, 0, 60, 80]]
    assert two.scores == pytest.approx([1, 0.3, 1])
    assert len(two.people) == 1


def test_an_empty_box_is_no_box(tmp_path: Path) -> None:
    found = coco(tmp_path / "pictures", 2)
    first(found).update(bbox=[0, 0, 0, 0])
    one, _ = read_annotations(write(tmp_path / "a.json", found), tmp_path / "pictures")
    assert one.boxes == pytest.approx(bounds(one.people))


def first(found: dict[str, Any]) -> Any:
    return found["annotations"][0]


BROKEN: list[tuple[Change, str]] = [
    (lambda found: found.pop("annotations"), "it needs the lists 'images' and 'annotations'"),
    (lambda found: first(found).update(image_id=77), "annotation 0: no image has the id 77"),
    (lambda found: first(found).pop("image_id"), "lacks 'image_id'"),
    (lambda found: found["images"][0].pop("file_name"), "lacks 'file_name'"),
    (lambda found: found["images"][0].update(width=0), "image 1: a size of 0x90"),
    (lambda found: first(found).update(keypoints=[1, 2, 2] * 16), "annotation 0: keypoints of 48 values instead of 51"),
    (
        lambda found: first(found)["keypoints"].__setitem__(4, math.nan),
        "annotation 0: keypoints with a value that is no",
    ),
    (
        lambda found: first(found)["keypoints"].__setitem__(4, math.inf),
        "annotation 0: keypoints with a value that is no",
    ),
    (lambda found: first(found)["keypoints"].__setitem__(4, "left"), "could not convert string to float"),
    (lambda found: first(found)["keypoints"].__setitem__(5, 7), "annotation 0: keypoints whose visibility is none of"),
    (lambda found: first(found).update(keypoints=[], bbox=[1, 2, 3]), "annotation 0: bbox of 3 values instead of 4"),
    (lambda found: first(found).update(keypoints=7), "has no len"),
    (lambda found: found.update(images=[3]), "not subscriptable"),
    (lambda found: found.update(categories=[{"keypoints": ["wing"]}]), "its 1 keypoints (wing, …) are not COCO's 17"),
]


@pytest.mark.parametrize(("change", "complaint"), BROKEN)
def test_what_makes_no_sense_is_named(tmp_path: Path, change: Change, complaint: str) -> None:
    found = coco(tmp_path / "pictures")
    change(found)
    path = write(tmp_path / "a.json", found)
    with pytest.raises(InputError) as caught:
        read_annotations(path, tmp_path / "pictures")
    assert str(caught.value).startswith(f"{path}: not annotations in COCO's format: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", '{"images": [1, 2', "\xff"])
def test_what_is_no_json_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match="not JSON, or cut off"):
        read_annotations(path, tmp_path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_annotations(tmp_path / "a.json", tmp_path)


def test_normalised_labels_by_picture_say_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    coco(folder / "below", 1)
    shares = person(10)
    shares[:, :2] /= SIZE
    labels = {
        "p1": {"people": [{"box": [0.5, 0.5, 0.2, 0.4], "keypoints": shares.tolist()}]},
        "gone": {"people": [{"box": [0.5, 0.5, 0.2, 0.4], "keypoints": [[0, 0, 0]] * 17}]},
    }
    one, gone = read_annotations(write(tmp_path / "labels.json", labels), folder)
    assert one.path == folder / "below" / "p1.png"
    assert one.people[0, :, :2] * SIZE / one.size == pytest.approx(person(10)[:, :2], rel=1e-5)
    assert gone.path == folder / "gone"
    assert gone.others == pytest.approx(np.array([[0.4, 0.3, 0.6, 0.7]]))


def test_normalised_boxes_by_file_name_come_with_their_scores(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    coco(folder, 2)
    boxes = {"p2.png": [[0.1, 0.2, 0.5, 0.9, 0.75]], "p1.png": []}
    two, one = read_annotations(write(tmp_path / "boxes.json", boxes), folder)
    assert two.path == folder / "p2.png"
    assert two.others == pytest.approx(np.array([[0.1, 0.2, 0.5, 0.9]]))
    assert two.scores == pytest.approx([0.75])
    assert len(one.others) == 0


@pytest.mark.parametrize(
    "values",
    [
        {"p1": {"people": [{"box": [0.5, 0.5, 0.2], "keypoints": [[0, 0, 0]] * 17}]}},
        {"p1": {"people": [{"keypoints": [[0, 0, 0]] * 17}]}},
        {"p1.png": [[0.1, 0.2, 0.5, 0.9]]},
    ],
)
def test_a_broken_one_of_these_names_the_picture(tmp_path: Path, values: Any) -> None:
    coco(tmp_path / "pictures", 1)
    with pytest.raises(InputError, match="picture p1"):
        read_annotations(write(tmp_path / "a.json", copy.deepcopy(values)), tmp_path / "pictures")


@pytest.mark.parametrize("values", [[], {}, 3, {"a": 1}, None])
def test_json_of_another_kind_is_refused(tmp_path: Path, values: Any) -> None:
    (tmp_path / "a.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(InputError, match="it needs the lists 'images' and 'annotations'"):
        read_annotations(tmp_path / "a.json", tmp_path)
