"""How well a model finds people is told as COCO does, and bad input is told in one line."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from builders import pose, to_input
from command import NO_MIRROR, PROJECT, TIMEOUT_S, Outcome, environment, tool_arguments, use_tool
from data import data, model, needs_data, needs_models
from edge.engine.litert import LiteRtEngine
from edge.errors import InputError, UnavailableError, UsageError
from edge.ports import ModelSpec
from edge.poses.input_sizes import input_sizes
from edge.poses.letterbox import fit
from edge.poses.pose import KEYPOINT_NAMES, Pose
from edge.scene.truth import TruePerson
from edgetpu_double import Double, compiled_model, needs_compiler
from tiny_models import echo_model
from tools.evaluate.annotations import Annotations, load_annotations, require_images
from tools.evaluate.crop import cut_annotations, parse_shape
from tools.evaluate.metrics.coco import FIGURES, average_precision, detections_of, match_detections
from tools.evaluate.metrics.false_negatives import draw_miss, worst, write_worst
from tools.evaluate.metrics.figures import figures_of
from tools.evaluate.metrics.pck import pck
from tools.evaluate.metrics.sizes import by_height
from tools.evaluate.prediction import Prediction, predict

WIDE, TALL = (320, 200), (150, 400)
"""(width, height) of the two images."""

TALL_MAN = pose(0.1, 0.2, 0.2, 0.7)
SMALL_WOMAN = pose(0.6, 0.3, 0.12, 0.2)
LONELY_CHILD = pose(0.3, 0.5, 0.25, 0.3)


def evaluate(*words: str | Path, env: Mapping[str, str | None] | None = None) -> Outcome:
    return use_tool("evaluate", *words, env=env)


def person(truth: Pose, image_id: int, size: tuple[int, int], **more: Any) -> dict[str, Any]:
    xy = truth.keypoints[:, :2].astype(float) * size
    x0, y0, x1, y1 = (float(value) for value in truth.box_xyxy * (*size, *size))
    return {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": np.concatenate([xy, np.full((17, 1), 2)], 1).ravel().tolist(),
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        **more,
    }


def file_of(folder: Path, people: Sequence[dict[str, Any]], **more: Any) -> Path:
    images = [
        {"id": 70, "file_name": "wide.png", "width": WIDE[0], "height": WIDE[1]},
        {"id": 8, "file_name": "tall.png", "width": TALL[0], "height": TALL[1]},
    ]
    path = folder / "people.json"
    path.write_text(json.dumps({"images": images, "annotations": people, **more}))
    return path


@pytest.fixture
def annotations(tmp_path: Path) -> Annotations:
    """Two people in the wide image, a child in the tall one."""
    people = [person(TALL_MAN, 70, WIDE), person(SMALL_WOMAN, 70, WIDE), person(LONELY_CHILD, 8, TALL)]
    return load_annotations(file_of(tmp_path, people))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name, (width, height) in (("wide.png", WIDE), ("tall.png", TALL)):
        noise = np.random.default_rng(5).integers(0, 255, (height, width, 3), np.uint8)
        cv2.imwrite(str(tmp_path / name), noise)
    return tmp_path


def moved(truth: Pose, x: float = 0.0, y: float = 0.0, score: float = 0.8) -> Pose:
    shift = np.array([x, y], np.float32)
    keypoints = truth.keypoints.copy()
    keypoints[:, :2] += shift
    return Pose(keypoints, truth.box_xyxy + np.tile(shift, 2), score)


def ap(annotations: Annotations, wide: Sequence[Pose], tall: Sequence[Pose]) -> float:
    figures = average_precision([*detections_of(70, wide, WIDE), *detections_of(8, tall, TALL)], annotations)
    assert figures["AP"] is not None
    return figures["AP"]


def predicted(wide: Sequence[Pose], tall: Sequence[Pose]) -> Prediction:
    return Prediction((tuple(wide), tuple(tall)), (1.0, 2.0), (), {70: (128, 64), 8: (128, 64)})


def test_who_finds_everybody_exactly_has_an_ap_and_an_ar_of_1(annotations: Annotations) -> None:
    found = [*detections_of(70, [TALL_MAN, SMALL_WOMAN], WIDE), *detections_of(8, [LONELY_CHILD], TALL)]
    figures = average_precision(found, annotations)
    assert tuple(figures) == FIGURES
    assert {name: figures[name] for name in ("AP", "AP50", "AP75", "AR", "APm")} == pytest.approx(
        {"AP": 1, "AP50": 1, "AP75": 1, "AR": 1, "APm": 1}
    )
    assert figures["APl"] is None  # nobody is larger than 96 x 96 pixels


def test_the_further_off_the_lower_the_ap(annotations: Annotations) -> None:
    values = [
        ap(annotations, [moved(TALL_MAN, shift), moved(SMALL_WOMAN, shift)], [moved(LONELY_CHILD, shift)])
        for shift in (0.0, 0.01, 0.02, 0.2)
    ]
    assert values[0] > values[1] > values[2] > values[3]
    assert values[3] == 0


def test_mixing_up_left_and_right_costs_ap(annotations: Annotations) -> None:
    swapped = TALL_MAN.keypoints.copy()
    swapped[1:] = swapped[1:].reshape(8, 2, 3)[:, ::-1].reshape(16, 3)
    mixed_up = Pose(swapped, TALL_MAN.box_xyxy, 0.8)
    assert ap(annotations, [mixed_up, SMALL_WOMAN], [LONELY_CHILD]) < 0.9


def test_a_sure_pose_on_nobody_costs_more_than_an_unsure_one(annotations: Annotations) -> None:
    sure, unsure = (pose(0.8, 0.1, 0.1, 0.3, score=score) for score in (0.9, 0.1))
    everybody = [TALL_MAN, SMALL_WOMAN]
    assert ap(annotations, [*everybody, sure], [LONELY_CHILD]) < ap(annotations, [*everybody, unsure], [LONELY_CHILD])


def test_nothing_found_is_an_ap_of_0(annotations: Annotations) -> None:
    assert ap(annotations, [], []) == 0
    assert match_detections([], annotations).found == frozenset()


def test_without_people_there_is_no_ap_but_poses_are_false(tmp_path: Path) -> None:
    empty = load_annotations(file_of(tmp_path, []))
    found = detections_of(8, [LONELY_CHILD], TALL)
    assert empty.people == 0
    assert set(average_precision(found, empty).values()) == {None}
    assert match_detections(found, empty).false == (0,)


def test_each_person_is_found_by_one_pose_and_what_lies_on_nobody_is_false(annotations: Annotations) -> None:
    poses = [moved(SMALL_WOMAN, 0.2), moved(SMALL_WOMAN, 0.003), moved(SMALL_WOMAN, score=0.3)]
    outcome = match_detections(detections_of(70, poses, WIDE), annotations)
    assert outcome.found == {2}
    assert outcome.false == (0, 2)


def test_a_pose_in_a_crowd_is_not_false_and_the_crowd_is_not_asked_for(tmp_path: Path) -> None:
    crowd = person(TALL_MAN, 70, WIDE, iscrowd=1)
    annotations = load_annotations(file_of(tmp_path, [crowd, person(LONELY_CHILD, 8, TALL)]))
    assert annotations.people == 1
    assert match_detections(detections_of(70, [TALL_MAN, moved(TALL_MAN, 0.01)], WIDE), annotations).false == ()


def test_what_other_tools_leave_out_is_filled_in(tmp_path: Path) -> None:
    bare, zero = person(TALL_MAN, 70, WIDE), person(SMALL_WOMAN, 70, WIDE, id=0)
    bare["keypoints"][2] = 0
    thing = {"image_id": 70, "category_id": 3, "bbox": [1, 2, 3, 4]}
    annotations = load_annotations(file_of(tmp_path, [thing, bare, zero]))
    first, second = annotations.images[0].people
    assert (first["id"], second["id"], first["num_keypoints"], first["iscrowd"]) == (1, 2, 16, 0)
    assert first["area"] == pytest.approx(0.53 * first["bbox"][2] * first["bbox"][3])
    assert ap(annotations, [TALL_MAN, SMALL_WOMAN], []) == pytest.approx(1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"images": [', "not JSON, or cut off"),
        ("[]", "not in COCO's format"),
        ('{"images": [], "annotations": []}', "it has no images"),
        ('{"images": [{"id": 1}], "annotations": []}', "'file_name'"),
    ],
)
def test_a_file_that_is_no_coco_annotation_is_refused(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "people.json"
    path.write_text(content)
    with pytest.raises(InputError, match=says) as caught:
        load_annotations(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda each: each.pop("keypoints"), "none of its annotations has keypoints; needed are person keypoints"),
        (lambda each: each["keypoints"].pop(), "50 keypoint values"),
        (lambda each: each.pop("bbox"), "'bbox'"),
        (lambda each: each.update(image_id=9), "9"),
    ],
)
def test_annotations_without_what_is_needed_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], says: str
) -> None:
    broken = person(TALL_MAN, 70, WIDE)
    change(broken)
    with pytest.raises(InputError, match=says):
        load_annotations(file_of(tmp_path, [broken]))


def test_keypoints_of_another_skeleton_are_refused(tmp_path: Path) -> None:
    right = {"id": 1, "keypoints": list(KEYPOINT_NAMES)}
    load_annotations(file_of(tmp_path, [person(TALL_MAN, 70, WIDE)], categories=[right]))
    wrong = {"id": 1, "keypoints": ["thorax", *KEYPOINT_NAMES[1:]]}
    with pytest.raises(InputError, match="17 keypoints \\(thorax, …\\) are not COCO's 17"):
        load_annotations(file_of(tmp_path, [person(TALL_MAN, 70, WIDE)], categories=[wrong]))


def test_images_that_are_missing_are_counted_in_one_line(annotations: Annotations, images: Path) -> None:
    require_images(annotations, images)
    (images / "tall.png").unlink()
    with pytest.raises(InputError, match=r"1 of the 2 images of people.json are missing, tall.png for one$"):
        require_images(annotations, images)
    with pytest.raises(InputError, match="no such folder"):
        require_images(annotations, images / "none")


def test_names_that_no_file_can_have_are_an_error_of_the_input(annotations: Annotations, images: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        require_images(annotations, images / ("n" * 300))
    (longer,) = load_annotations(longer_names(images)).images
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        require_images(Annotations(images, (longer,)), images)


def longer_names(folder: Path) -> Path:
    path = folder / "longer.json"
    image = {"id": 1, "file_name": "n" * 300, "width": 20, "height": 10}
    path.write_text(json.dumps({"images": [image], "annotations": []}))
    return path


class Oracle:
    """An engine that says where these people are, image by image, on a 96x64 input."""

    spec = ModelSpec("oracle", "multipose", (96, 64), "uint8")

    def __init__(self, people: Sequence[tuple[tuple[int, int], Sequence[Pose]]]) -> None:
        self._people = list(people)
        self.level = 0

    @property
    def choices(self) -> tuple[tuple[int, int], ...]:
        return (self.spec.input_size,)

    def size_for(self, image_size: tuple[int, int]) -> ModelSpec:  # noqa: ARG002 - its size is fixed
        return self.spec

    def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        assert tensor.shape == (1, 64, 96, 3)
        size, poses = self._people.pop(0)
        box = fit(size, self.spec.input_size)
        rows = np.zeros((1, 6, 56), np.float32)
        for at, each in enumerate(poses):
            rows[0, at, :51].reshape(17, 3)[:, :2] = to_input(box, each.keypoints[:, :2])[:, ::-1]
            rows[0, at, :51].reshape(17, 3)[:, 2] = 0.7
            rows[0, at, 51:55] = to_input(box, each.box_xyxy.reshape(2, 2))[:, ::-1].ravel()
            rows[0, at, 55] = each.score
        return (rows,)

    def retire(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_images_go_the_way_of_the_product_and_back(annotations: Annotations, images: Path) -> None:
    twice = [TALL_MAN, moved(TALL_MAN, 0.002, score=0.7), SMALL_WOMAN]
    told: list[tuple[int, int]] = []
    prediction = predict(
        Oracle([(WIDE, twice), (TALL, [LONELY_CHILD])]),
        annotations,
        images,
        min_score=0.1,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert [len(poses) for poses in prediction.poses] == [2, 1]  # the duplicate is gone
    assert average_precision(prediction.detections(annotations), annotations)["AP"] == pytest.approx(1)
    assert (told, len(prediction.times_ms), prediction.unreadable) == ([(1, 2), (2, 2)], 2, ())


def test_an_image_that_cannot_be_read_has_no_detections(annotations: Annotations, images: Path) -> None:
    (images / "wide.png").write_bytes((images / "wide.png").read_bytes()[:400])
    prediction = predict(Oracle([(TALL, [LONELY_CHILD])]), annotations, images, min_score=0.1)
    assert (prediction.unreadable, prediction.poses[0], len(prediction.times_ms)) == (("wide.png",), (), 1)
    assert average_precision(prediction.detections(annotations), annotations)["AR"] == pytest.approx(1 / 3)


def test_a_smaller_copy_of_an_image_is_welcome_and_a_turned_one_is_refused(
    annotations: Annotations, images: Path
) -> None:
    wide = cv2.imread(str(images / "wide.png"))
    assert wide is not None
    cv2.imwrite(str(images / "wide.png"), cv2.resize(wide, (160, 100)))
    people = [((160, 100), [TALL_MAN, SMALL_WOMAN]), (TALL, [LONELY_CHILD])]
    prediction = predict(Oracle(people), annotations, images, min_score=0.1)
    assert average_precision(prediction.detections(annotations), annotations)["AP"] == pytest.approx(1)
    cv2.imwrite(str(images / "wide.png"), cv2.rotate(wide, cv2.ROTATE_90_CLOCKWISE))
    with pytest.raises(InputError, match=r"200x320 pixels, the annotations are for 320x200"):
        predict(Oracle(people), annotations, images)


def test_at_most_so_many_people_are_the_best_ones(annotations: Annotations, images: Path) -> None:
    people = [(WIDE, [moved(TALL_MAN, score=0.4), moved(SMALL_WOMAN, score=0.6)]), (TALL, [LONELY_CHILD])]
    prediction = predict(Oracle(people), annotations, images, max_people=1)
    assert [pose.score for poses in prediction.poses for pose in poses] == pytest.approx([0.6, 0.8])


def test_a_cut_takes_the_middle_and_only_images_that_lie_as_it_does(annotations: Annotations) -> None:
    (wide,) = cut_annotations(
        annotations, parse_shape("16:9")
    ).images  # 320x200 to 320x180: 10 rows go, above and below
    assert (wide.file_name, wide.size, wide.whole_size) == ("wide.png", (320, 180), WIDE)
    before, after = annotations.images[0].people[0], wide.people[0]
    assert after["bbox"] == pytest.approx([before["bbox"][0], before["bbox"][1] - 10, *before["bbox"][2:]])
    assert np.array(after["keypoints"])[1::3] == pytest.approx(np.array(before["keypoints"])[1::3] - 10)
    assert after["area"] == pytest.approx(before["area"])
    (tall,) = cut_annotations(annotations, parse_shape("9:16")).images
    assert (tall.file_name, tall.size) == ("tall.png", (150, 267))


def test_who_is_cut_has_what_is_left_and_who_is_outside_is_left_out(tmp_path: Path) -> None:
    def standing(left: float, x: float) -> dict[str, Any]:
        return {
            "image_id": 70,
            "category_id": 1,
            "bbox": [left, 50, 80, 100],
            "keypoints": [x, 70, 2] * 8 + [x + 60, 90, 1] * 9,
        }

    # 320x200 cut to a width of 250: columns 35 to 285.
    people = [standing(0, 10), standing(-60, 0), standing(100, 110)]
    (image,) = cut_annotations(load_annotations(file_of(tmp_path, people)), parse_shape("5:4")).images
    cut, whole = image.people
    assert image.size == (250, 200)
    assert cut["bbox"] == [0, 50, 45, 100]
    assert cut["area"] == pytest.approx(0.53 * 45 * 100)
    assert (cut["num_keypoints"], cut["keypoints"][:3], cut["keypoints"][-3:]) == (9, [0, 0, 0], [35, 90, 1])
    assert (whole["id"], whole["num_keypoints"], whole["bbox"]) == (3, 17, [65, 50, 80, 100])


@pytest.mark.parametrize("scale", [1, 2])
def test_the_model_sees_the_cut_image_and_its_poses_are_scored_in_it(
    annotations: Annotations, images: Path, scale: int
) -> None:
    if scale == 2:  # a file of another resolution than its annotations
        picture = cv2.imread(str(images / "wide.png"))
        assert picture is not None
        cv2.imwrite(str(images / "wide.png"), cv2.resize(picture, (640, 400)))
    cut = cut_annotations(annotations, parse_shape("16:9"))
    inside = [Pose(*_in_cut(each)) for each in (TALL_MAN, SMALL_WOMAN)]
    found = predict(Oracle([((320 * scale, 180 * scale), inside)]), cut, images, min_score=0.1)
    assert average_precision(found.detections(cut), cut)["AP"] == pytest.approx(1)
    assert found.height_px(cut.images[0], 180) == fit((320, 180), (96, 64)).inner_size[1]


def _in_cut(truth: Pose) -> tuple[Any, Any, float]:
    """Return a pose of the 320x200 image in its middle 320x180."""
    keypoints, box = truth.keypoints.copy(), truth.box_xyxy.copy()
    keypoints[:, 1] = (keypoints[:, 1] * 200 - 10) / 180
    box[1::2] = (box[1::2] * 200 - 10) / 180
    return keypoints, box, 0.8


@pytest.mark.parametrize("text", ["", "16", "16/9", "0:9", "16:-9", "a:b", "16:9:1", "1000:1", "²:1"])
def test_a_shape_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--crop takes a shape such as 16:9"):
        parse_shape(text)


def test_a_cut_that_no_image_lies_as_is_said(annotations: Annotations) -> None:
    with pytest.raises(InputError, match=r"no image lies as 1:1 does"):
        cut_annotations(annotations, parse_shape("1:1"))


def test_people_are_sorted_by_their_height_in_the_input(annotations: Annotations) -> None:
    # The wide image shrinks to 40 %, to 102x64; the tall one to 16 %.
    prediction = Prediction(((), ()), (), (), {70: (128, 64), 8: (128, 64)})
    sure = match_detections(detections_of(70, [TALL_MAN], WIDE), annotations)
    all_found = match_detections(
        [*detections_of(70, [TALL_MAN, SMALL_WOMAN], WIDE), *detections_of(8, [LONELY_CHILD], TALL)], annotations
    )
    assert by_height(annotations, prediction, all_found, sure) == [
        {"from_px": 0, "to_px": 16, "people": 1, "found": 1, "reported": 0},
        {"from_px": 16, "to_px": 32, "people": 1, "found": 1, "reported": 0},
        {"from_px": 32, "to_px": 48, "people": 1, "found": 1, "reported": 1},
    ]


def true_person(truth: Pose, hidden: Sequence[int] = (), number: int = 1) -> TruePerson:
    keypoints = truth.keypoints.copy()
    keypoints[:, 2] = 2
    keypoints[list(hidden), 2] = 1
    return TruePerson(number, keypoints, truth.box_xyxy, 1.0)


def test_pck_is_a_share_of_keypoints_by_their_distance_in_torsos() -> None:
    # Left shoulder to right hip of the tall man: 0.34 x 0.2 of the width, 0.33 x 0.7 of the height.
    torso_px = np.hypot(0.34 * 0.2 * WIDE[0], 0.33 * 0.7 * WIDE[1])
    off = moved(TALL_MAN, 0.15 * torso_px / WIDE[0])
    exact = pck([([true_person(TALL_MAN)], [TALL_MAN])], WIDE)
    near = pck([([true_person(TALL_MAN)], [off])], WIDE)
    assert (exact["people"], exact["PCK@0.1"], exact["PCK@0.2"]) == (1, 1, 1)
    assert (near["PCK@0.1"], near["PCK@0.2"]) == (0, 1)


def test_somebody_on_whom_no_pose_lies_has_all_keypoints_wrong() -> None:
    two = [true_person(TALL_MAN), true_person(LONELY_CHILD, number=2)]
    figures = pck([(two, [LONELY_CHILD])], WIDE)
    assert (figures["people"], figures["PCK@0.2"]) == (2, 0.5)
    assert figures["largest"] == {"people": 1, "PCK@0.1": 0, "PCK@0.2": 0}
    assert pck([([], [LONELY_CHILD])], WIDE)["PCK@0.2"] is None


def test_hidden_keypoints_and_people_too_small_do_not_count() -> None:
    wrong = TALL_MAN.keypoints.copy()
    wrong[[9, 10], :2] += 0.4
    told = Pose(wrong, TALL_MAN.box_xyxy, 0.8)
    assert pck([([true_person(TALL_MAN)], [told])], WIDE)["PCK@0.2"] == pytest.approx(15 / 17, abs=1e-4)
    assert pck([([true_person(TALL_MAN, hidden=(9, 10))], [told])], WIDE)["PCK@0.2"] == 1
    assert pck([([true_person(SMALL_WOMAN)], [])], WIDE)["people"] == 0


def test_the_worst_misses_come_first_and_are_drawn(annotations: Annotations, images: Path) -> None:
    stray = pose(0.5, 0.1, 0.2, 0.2, score=0.31)
    prediction = predicted([SMALL_WOMAN], [LONELY_CHILD, stray])
    outcome = match_detections(prediction.detections(annotations), annotations)
    misses = worst(annotations, prediction, outcome, min_score=0.2, count=5)
    assert [(miss.image.id, len(miss.missed), len(miss.false)) for miss in misses] == [(70, 1, 0), (8, 0, 1)]
    assert misses[0].heights_px == pytest.approx([0.7 * 64])
    assert misses[1].false == (stray,)
    written = write_worst(misses, images, images / "out")
    assert [path.name for path in written] == ["01_wide.jpg", "02_tall.jpg"]
    assert sorted(path.name for path in (images / "out").iterdir()) == ["01_wide.jpg", "02_tall.jpg"]
    picture = cv2.imread(str(written[0]))
    assert picture is not None
    assert picture.shape == (WIDE[1], WIDE[0], 3)


def test_missed_people_are_framed_in_red_and_false_poses_in_yellow(annotations: Annotations) -> None:
    stray = pose(0.5, 0.1, 0.2, 0.2, score=0.31)
    prediction = predicted([SMALL_WOMAN, stray], [LONELY_CHILD])
    outcome = match_detections(prediction.detections(annotations), annotations)
    (miss,) = worst(annotations, prediction, outcome, min_score=0.2, count=5)
    picture = draw_miss(np.zeros((WIDE[1], WIDE[0], 3), np.uint8), miss)
    assert picture[100, 32].tolist() == [230, 60, 60]  # the left side of the man's box
    assert picture[60, 170].tolist() == [255, 220, 0]  # the lower side of the stray pose's


def test_pictures_that_cannot_be_written_are_one_error(annotations: Annotations, images: Path) -> None:
    prediction = predicted([], [])
    misses = worst(annotations, prediction, match_detections([], annotations), min_score=0.2, count=5)
    with pytest.raises(UnavailableError, match="cannot be written to"):
        write_worst(misses, images, images / "wide.png")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--images", "."], 64, "--images and --annotations belong together"),
        ([], 64, "give --images and --annotations, or --scene"),
        (["--scene", "0"], 64, "from 1 on"),
        (["--scene", "5", "--worst", "w"], 64, "--worst needs --images"),
        (["--unheard-of"], 64, "--unheard-of"),
        (["--scene", "--min-score", "nan"], 64, "--min-score takes a score from 0 to 1, not nan"),
        (["--scene", "--min-score", "1.5"], 64, "--min-score takes a score from 0 to 1, not 1.5"),
        (["--scene", "--size", "100x100"], 78, "not a multiple of 32"),
        (["--scene", "--model", "none/such.tflite"], 66, "none/such.tflite"),
        (["--scene", "--model", "nobody"], 69, "nobody"),
        (["--scene", "--config", "none.toml"], 66, "none.toml"),
        (["--images", ".", "--annotations", "none.json"], 66, "none.json"),
    ],
)
def test_bad_input_is_one_line_and_its_code(words: list[str], code: int, says: str) -> None:
    done = evaluate(*words, env=NO_MIRROR)
    assert (done.code, done.out) == (code, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("evaluate: ")
    assert says in done.err


def test_a_reader_that_has_seen_enough_is_no_error(annotations: Annotations, images: Path) -> None:
    own = echo_model(images / "own.tflite")
    command = tool_arguments("evaluate", "--model", own, "--images", images, "--annotations", annotations.path)
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait(TIMEOUT_S) == 0


def test_without_pycocotools_it_says_which_extra_to_install(annotations: Annotations, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "pycocotools.py").write_text("raise ImportError('not here')")
    code = (
        "from tools.evaluate.annotations import load_annotations\n"
        "from tools.evaluate.metrics.coco import average_precision\n"
        f"from pathlib import Path\naverage_precision([], load_annotations(Path({str(annotations.path)!r})))"
    )
    path = f"{blocked}:{PROJECT}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=environment({"PYTHONPATH": path}),
    )
    assert "UnavailableError: COCO's figures need pycocotools: pip install 'edge-pose[evaluate]'" in done.stderr


def test_a_broken_image_is_skipped_with_a_warning_and_the_rest_is_evaluated(
    annotations: Annotations, images: Path
) -> None:
    (images / "wide.png").write_bytes(b"no picture")
    own = echo_model(images / "own.tflite")
    done = evaluate("--model", own, "--images", images, "--annotations", annotations.path, "--json")
    assert done.code == 0
    assert "wide.png: cannot be read as a picture, skipped" in done.err
    figures = json.loads(done.out)
    assert (figures["images"], figures["people"], figures["unreadable"], figures["model"]) == (2, 3, 1, "own")


@pytest.mark.parametrize(("asked", "reported"), [("0.6", 0.6), ("0.1", 0.2)])
def test_reported_is_what_both_the_flag_and_the_configuration_let_through(
    annotations: Annotations, images: Path, asked: str, reported: float
) -> None:
    own = echo_model(images / "own.tflite")
    words: list[str | Path] = ["--model", own, "--images", images, "--annotations", annotations.path]
    done = evaluate(*words, "--min-score", asked, "--json")
    assert json.loads(done.out)["reported_min_score"] == reported


def test_a_file_in_place_of_the_folder_for_pictures_is_told_before_anything_runs(
    annotations: Annotations, images: Path
) -> None:
    words: list[str | Path] = ["--model", "none.tflite", "--images", images, "--annotations", annotations.path]
    for folder in (annotations.path, annotations.path / "worst"):
        done = evaluate(*words, "--worst", folder)
        assert done.code == 69
        assert done.err.startswith(f"evaluate: {folder}: cannot be written to: ")
    assert not (images / "worst").exists()
    assert evaluate(*words, "--worst", images / "worst").code == 66  # the model is looked for next


@needs_compiler
def test_figures_name_the_model_that_ran(tmp_path: Path) -> None:
    double = Double(tmp_path / "lib")
    compiled_model(tmp_path / "own-edgetpu.tflite", height=64, width=96)
    echo_model(tmp_path / "own.tflite", height=64, width=96)
    (tmp_path / "models.toml").write_text(
        "".join(
            f'[{name}]\nfile = "{name}.tflite"\nsha256 = "{sha256(tmp_path / name)}"\nkind = "multipose"\n'
            f'licence = "none"\n{more}'
            for name, more in (("own-edgetpu", 'delegate = "edgetpu"\ncpu_twin = "own"\n'), ("own", ""))
        )
    )
    env = {"EDGE_POSE_MODEL_MIRROR": str(tmp_path), "LD_LIBRARY_PATH": str(double.folder)}
    words = ["--model", "own-edgetpu", "--scene", "2"]
    assert evaluate(*words, env=env).out.startswith("own-edgetpu, on the Edge TPU\n")
    double.tell("refuse")
    fallen_back = json.loads(evaluate(*words, "--json", env=env).out)
    assert fallen_back["ran"] == {"model": "own", "accelerator": "cpu"}
    assert evaluate(*words, "--config", one_thread(tmp_path), env=env).out.startswith(
        "own-edgetpu, run as own on the CPU, 1 thread\n"
    )


def sha256(model: Path) -> str:
    return hashlib.sha256(model.with_suffix(".tflite").read_bytes()).hexdigest()


def one_thread(folder: Path) -> Path:
    config = folder / "edge-pose.toml"
    config.write_text("[model]\nthreads = 1\n")
    return config


@needs_data
@needs_models
def test_the_model_reaches_its_ap_on_coco_images() -> None:
    coco = data("coco_dev")
    done = evaluate(
        *("--model", model("movenet_multipose_f16_rebuilt.tflite"), "--size", "256x256", "--json"),
        *("--images", coco / "images", "--annotations", coco / "person_keypoints.json"),
    )
    figures = json.loads(done.out)
    assert {"AP50", "AP75", "APm", "APl", "AR", "ms_per_frame", "by_height"} <= set(figures)
    assert (figures["images"], figures["people"], figures["size"]) == (71, 222, "256x256")
    assert figures["AP"] == pytest.approx(0.249, abs=0.003)
    assert sum(row["people"] for row in figures["by_height"]) == 222


@needs_models
def test_a_running_configuration_is_measured_on_the_scene(tmp_path: Path) -> None:
    config = tmp_path / "edge-pose.toml"
    config.write_text(f'[model]\nfile = "{model("multipose_standin_f16.tflite")}"\n[poses]\nmax_people = 1\n')
    limited = json.loads(evaluate("--config", config, "--scene", "4", "--json").out)["scene"]
    config.write_text(config.read_text().replace("max_people = 1", ""))
    scene = json.loads(evaluate("--config", config, "--scene", "4", "--json").out)["scene"]
    assert (scene["frames"], scene["size"], scene["people"]) == (4, "256x448", limited["people"])
    assert scene["PCK@0.2"] > 0.8
    assert limited["PCK@0.2"] < 0.5  # of about four people per frame one is reported
    table = evaluate("--config", config, "--scene", "4").out
    assert "the largest person of every image" in table
    assert f"{scene['PCK@0.2']:.3f}" in table


def test_each_image_has_the_input_of_its_shape(annotations: Annotations, images: Path) -> None:
    starter = Path(__file__).parents[3] / "models" / "starter.tflite"
    prediction = predict(LiteRtEngine(starter, name="starter"), annotations, images)
    assert prediction.input_sizes == {70: input_sizes(WIDE)[0], 8: input_sizes(TALL)[0]}
    size = figures_of(annotations, prediction, reported_min_score=0.2)["size"]
    assert sorted(size.split(", ")) == sorted(f"{high}x{wide}" for wide, high in prediction.input_sizes.values())
