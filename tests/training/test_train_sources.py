"""Sources of pictures: photographs with annotations, and the scene."""

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import InputError
from tools.train.data.coco import CocoSource, read_image
from tools.train.data.picture import LESS_SURE
from tools.train.data.synthetic import SceneSource
from training.small import SIZE, annotated, coco, image, person, write


def test_labels_are_told_in_the_pixels_of_the_file(tmp_path: Path) -> None:
    annotations, folder = annotated(tmp_path)
    cv2.imwrite(str(folder / "p2.png"), image(SIZE[0] // 2, SIZE[1] // 3))
    shown = CocoSource(annotations, folder).at(1)
    assert shown.image.shape == (SIZE[1] // 3, SIZE[0] // 2, 3)
    assert shown.people[0, :, :2] == pytest.approx(person(20)[:, :2] / (2, 3), rel=1e-5)
    assert shown.name.endswith("p2.png")


@pytest.mark.parametrize(("by_model", "meant"), [(False, 1.0), (True, LESS_SURE)])
def test_a_v_of_one_is_hidden_by_annotators_and_less_sure_by_a_model(
    tmp_path: Path, by_model: bool, meant: float
) -> None:
    labels = coco(tmp_path / "pictures", 1)
    labels["annotations"][0]["keypoints"][5] = 1
    labels["annotations"][0]["keypoints"][8] = 0
    source = CocoSource(write(tmp_path / "people.json", labels), tmp_path / "pictures", by_model=by_model)
    assert source.at(0).people[0, :4, 2].tolist() == [2, meant, 0, 2]


def test_pictures_are_rgb_and_not_too_large(tmp_path: Path) -> None:
    red = np.zeros((40, 1300, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes BGR
    cv2.imwrite(str(tmp_path / "red.png"), red)
    shown = read_image(tmp_path / "red.png")
    assert shown.shape == (20, 640, 3)
    assert shown[5, 5].tolist() == [255, 0, 0]


def test_one_picture_is_enough(tmp_path: Path) -> None:
    source = CocoSource(*annotated(tmp_path, 1))
    assert len(source) == 1
    assert source.picture(np.random.default_rng(0)).name == source.picture(np.random.default_rng(1)).name


def test_a_missing_picture_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    annotations, folder = annotated(tmp_path)
    (folder / "p1.png").unlink()
    assert len(CocoSource(annotations, folder)) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"{annotations}: 1 of its 3 pictures are left out: {folder / 'p1.png'} is missing"
    ]


def test_a_picture_that_breaks_is_left_out_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    annotations, folder = annotated(tmp_path)
    source = CocoSource(annotations, folder)
    (folder / "p2.png").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        names = {source.at(1).name, source.at(1).name}
    assert names == {str(folder / "p3.png")}
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder / 'p2.png'}: cannot be read as a picture: it is left out"
    ]


def test_when_no_picture_can_be_read_it_ends(tmp_path: Path) -> None:
    annotations, folder = annotated(tmp_path)
    source = CocoSource(annotations, folder)
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match="not one of the 3 pictures can be read"):
        source.at(2)


def test_a_folder_without_the_pictures_is_told(tmp_path: Path) -> None:
    annotations, _folder = annotated(tmp_path)
    with pytest.raises(InputError, match=r"none of the 3 pictures of .*people\.json is here"):
        CocoSource(annotations, tmp_path)
    with pytest.raises(InputError, match="no such folder of pictures"):
        CocoSource(annotations, tmp_path / "gone")
    empty = write(tmp_path / "empty.json", {"images": [], "annotations": []})
    with pytest.raises(InputError, match="it names no pictures"):
        CocoSource(empty, tmp_path)


def test_pictures_beyond_the_room_in_memory_are_read_again(tmp_path: Path) -> None:
    found, folder = coco(tmp_path / "pictures", 2), tmp_path / "pictures"
    source = CocoSource(write(tmp_path / "a.json", found), folder, kept_bytes=SIZE[0] * SIZE[1] * 3)
    before = [source.at(number).image.copy() for number in (0, 1)]
    for number in (1, 2):
        cv2.imwrite(str(folder / f"p{number}.png"), image(seed=9))
    assert np.array_equal(source.at(0).image, before[0])
    assert not np.array_equal(source.at(1).image, before[1])


def test_the_scene_gives_people_where_they_are_drawn() -> None:
    shown = SceneSource(frames=1).picture(np.random.default_rng(0))
    height, width = shown.image.shape[:2]
    assert len(shown.people) >= 3
    known = shown.people[shown.people[..., 2] > 0]
    assert (known[:, :2].min(axis=0) < (width, height)).all()
    assert known[:, 0].max() > width / 3
    assert "scene 1000, frame " in shown.name


def test_the_scene_draws_the_same_frame_again() -> None:
    one, other = (SceneSource(frames=2).picture(np.random.default_rng(4)) for _ in range(2))
    assert one.name == other.name
    assert np.array_equal(one.image, other.image)
    assert np.array_equal(one.people, other.people)
