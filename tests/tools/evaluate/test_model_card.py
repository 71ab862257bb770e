"""A model card's figures come from one command, and go into their place and nowhere else."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from builders import pose
from command import NO_MIRROR, PROJECT, Outcome, use_tool
from edge.errors import InputError, UnavailableError, UsageError
from edge.models.derive import derive
from edge.poses.pose import Pose
from tiny_models import echo_model
from tiny_pose_nets import tiny_singlepose
from tools.evaluate.annotations import Annotations, load_annotations
from tools.evaluate.candidates import pictures
from tools.evaluate.card.baselines import DEFAULT, DERIVED, requested_baselines
from tools.evaluate.card.facts import facts
from tools.evaluate.card.markdown import markdown
from tools.evaluate.card.page import BEGIN, END, put_figures, require_place
from tools.evaluate.card.targets import loss_points, targets
from tools.evaluate.metrics.pck import pck_on_images
from tools.evaluate.prediction import Prediction

WIDE, TALL = (320, 200), (150, 400)
"""(width, height) of the two images."""
MAN, WOMAN, CHILD = pose(0.1, 0.2, 0.2, 0.7), pose(0.6, 0.3, 0.12, 0.2), pose(0.3, 0.5, 0.25, 0.3)
CARD = f"# A card\n\nWritten by hand: ä.\n\n{BEGIN}\nold\n{END}\n\nThe end, without a newline"


def measure(*words: str | Path, env: Mapping[str, str | None] = NO_MIRROR) -> Outcome:
    return use_tool("evaluate.card", *words, env=env)


def person(truth: Pose, image_id: int, size: tuple[int, int], *, v: Mapping[int, int] | None = None) -> dict[str, Any]:
    """One in COCO's format; `v` has the visibility of keypoints that are not seen, those at 0 lie at 0, 0."""
    rows = np.column_stack([truth.keypoints[:, :2].astype(float) * size, np.full(17, 2)])
    for at, value in (v or {}).items():
        rows[at] = (*rows[at, :2], value) if value else 0
    x0, y0, x1, y1 = (float(value) for value in truth.box_xyxy * (*size, *size))
    return {"image_id": image_id, "keypoints": rows.ravel().tolist(), "bbox": [x0, y0, x1 - x0, y1 - y0]}


def annotated(folder: Path, *people: dict[str, Any]) -> Annotations:
    images = [
        {"id": 70, "file_name": "wide.png", "width": WIDE[0], "height": WIDE[1]},
        {"id": 8, "file_name": "tall.png", "width": TALL[0], "height": TALL[1]},
    ]
    path = folder / "people.json"
    path.write_text(json.dumps({"images": images, "annotations": people}))
    return load_annotations(path)


def predicted(wide: list[Pose], tall: list[Pose]) -> Prediction:
    return Prediction((tuple(wide), tuple(tall)), (1.0, 2.0), (), {70: (128, 64), 8: (128, 64)})


def moved(truth: Pose, x: float) -> Pose:
    keypoints = truth.keypoints.copy()
    keypoints[:, 0] += x
    return Pose(keypoints, truth.box_xyxy, truth.score)


@pytest.fixture
def images(tmp_path: Path) -> list[str | Path]:
    """Flags for two pictures of noise with three people."""
    people = [person(MAN, 70, WIDE), person(WOMAN, 70, WIDE), person(CHILD, 8, TALL)]
    annotations = annotated(tmp_path, *people)
    for image in annotations.images:
        width, height = image.size
        noise = np.random.default_rng(5).integers(0, 255, (height, width, 3), np.uint8)
        cv2.imwrite(str(tmp_path / image.file_name), noise)
    return ["--images", tmp_path, "--annotations", annotations.path]


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    """A model of int8 heads, 64x96."""
    path = tmp_path / "starter.tflite"
    derive(tiny_singlepose(tmp_path / "source.tflite")).model.save(path)
    return path


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror whose default model is 64x96, with a source to derive from."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    files = {
        "usual": (echo_model(folder / "usual.tflite", height=64, width=96), "multipose"),
        "movenet-singlepose-lightning-int8": (tiny_singlepose(folder / "lightning.tflite"), "singlepose"),
    }
    tables = [
        f'[{name}]\nfile = "{path.name}"\nsha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"\n'
        f'kind = "{kind}"\nlicence = "none"\n'
        for name, (path, kind) in files.items()
    ]
    (folder / "models.toml").write_text('default = "usual"\n' + "\n".join(tables))
    return folder


# The largest person of every image


def test_pck_on_images_is_that_of_the_largest_person_of_each(tmp_path: Path) -> None:
    annotations = annotated(tmp_path, person(WOMAN, 70, WIDE), person(MAN, 70, WIDE), person(CHILD, 8, TALL))
    torso_px = np.hypot(0.34 * 0.2 * WIDE[0], 0.33 * 0.7 * WIDE[1])  # shoulder to opposite hip of the man
    off = moved(MAN, 0.15 * torso_px / WIDE[0])
    exact = pck_on_images(annotations, predicted([MAN], [CHILD]), min_score=0.2)
    near = pck_on_images(annotations, predicted([off, WOMAN], [CHILD]), min_score=0.2)
    missed = pck_on_images(annotations, predicted([MAN, WOMAN], []), min_score=0.2)
    assert exact == {"people": 2, "PCK@0.1": 1, "PCK@0.2": 1}
    assert near == {"people": 2, "PCK@0.1": 0.5, "PCK@0.2": 1}
    assert missed == {"people": 2, "PCK@0.1": 0.5, "PCK@0.2": 0.5}


def test_pck_on_images_passes_over_who_has_no_labelled_torso(tmp_path: Path) -> None:
    from_behind_a_table = person(MAN, 70, WIDE, v=dict.fromkeys(range(11, 17), 0))
    annotations = annotated(tmp_path, from_behind_a_table, person(WOMAN, 70, WIDE))
    assert pck_on_images(annotations, predicted([WOMAN], []), min_score=0.2)["PCK@0.1"] == 1
    alone = annotated(tmp_path, from_behind_a_table)
    assert pck_on_images(alone, predicted([MAN], []), min_score=0.2) == {"people": 0, "PCK@0.1": None, "PCK@0.2": None}


def test_pck_on_images_asks_for_what_is_seen_and_of_what_is_reported(tmp_path: Path) -> None:
    annotations = annotated(tmp_path, person(MAN, 70, WIDE, v={9: 1, 10: 0, 5: 0}))
    wrong = MAN.keypoints.copy()
    wrong[[5, 9, 10], :2] += 0.4
    faint = Pose(wrong, MAN.box_xyxy, 0.15)
    assert pck_on_images(annotations, predicted([faint], []), min_score=0.1)["PCK@0.1"] == 1
    assert pck_on_images(annotations, predicted([faint], []), min_score=0.2)["PCK@0.1"] == 0


# The place of the figures


def test_figures_replace_what_stands_between_the_markers_and_nothing_else(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text(CARD, encoding="utf-8")
    put_figures(card, "| new |\n")
    once = card.read_text(encoding="utf-8")
    assert once == CARD.replace("\nold\n", "\n\n| new |\n\n")
    put_figures(card, "| new |")
    assert card.read_text(encoding="utf-8") == once
    assert list(tmp_path.iterdir()) == [card]


@pytest.mark.parametrize(
    "text",
    [
        "",
        BEGIN,
        f"{END}\n{BEGIN}\n",
        f"{BEGIN}\n{BEGIN}\n{END}\n",
        f"{BEGIN}\n{END}\n{END}\n",
        f"words {BEGIN}\n{END}\n",
    ],
)
def test_a_card_without_a_place_for_figures_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    card = tmp_path / "card.md"
    card.write_text(text)
    with pytest.raises(InputError, match="no place for the figures"):
        put_figures(card, "new")
    assert card.read_text() == text


def test_a_card_that_is_no_text_or_no_file_is_one_error(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        require_place(card)
    for other in (tmp_path, Path("/dev/full")):  # which gives zeros for ever
        with pytest.raises(UnavailableError, match="not a regular file"):
            require_place(other)


def test_a_card_behind_a_link_is_written_through_it(tmp_path: Path) -> None:
    card, link = tmp_path / "card.md", tmp_path / "link.md"
    card.write_text(CARD, encoding="utf-8")
    link.symlink_to(card)
    put_figures(link, "new")
    assert link.is_symlink()
    assert "\nnew\n" in card.read_text(encoding="utf-8")


# What is measured


def test_the_facts_are_those_of_the_file(starter: Path) -> None:
    found = facts(starter)
    assert (found["file"], found["bytes"]) == ("starter.tflite", starter.stat().st_size)
    assert found["sha256"] == hashlib.sha256(starter.read_bytes()).hexdigest()
    assert found["inputs"] == [{"name": "input", "shape": [1, 64, 96, 3], "dtype": "uint8"}]
    assert [each["shape"][-1] for each in found["outputs"]] == [1, 17, 34, 34]
    assert found["notes"]["quantization"] == "int8"
    assert sum(found["ops"].values()) == found["edgetpu"]["tpu_ops"] == 9
    assert found["edgetpu"]["partitions"] == 1


def test_a_file_without_notes_has_none(tmp_path: Path) -> None:
    found = facts(echo_model(tmp_path / "own.tflite", height=64, width=96))
    assert (found["notes"], found["edgetpu"]["partitions"]) == (None, 0)


def test_requested_baselines_must_be_available(tmp_path: Path) -> None:
    own = echo_model(tmp_path / "own.tflite", height=64, width=96)
    baselines = requested_baselines([(str(own), None), (str(own), (96, 64))], (128, 96))
    assert list(baselines.models) == ["own", "own@64x96"]
    assert [each.engine(1).spec.input_size for each in baselines.models.values()] == [(96, 64), (96, 64)]
    with pytest.raises(InputError, match="no such model file"):
        requested_baselines([(str(tmp_path / "none.tflite"), None)], (96, 64))
    with pytest.raises(UsageError, match="its size is fixed"):
        requested_baselines([(str(own), (64, 64))], (96, 64))


def test_pictures_that_cannot_be_read_are_no_pictures(tmp_path: Path) -> None:
    annotations = annotated(tmp_path, person(CHILD, 8, TALL))
    for image in annotations.images:
        (tmp_path / image.file_name).write_text("no picture")
    with pytest.raises(InputError, match="none of the 2 images"):
        pictures(annotations, tmp_path)


# Targets


def invented(**more: Any) -> dict[str, Any]:
    images = {"AP": 0.05, "AP50": 0.079}
    return {
        "int8": {"images": images, "scene": {"found": 0.95}},
        "float": {"images": {"AP": 0.0615, "AP50": None}},
        "facts": {"bytes": 1_500_001, "edgetpu": {"tpu_ops": 73, "ops": 73, "partitions": 1}},
        "speed": [{"what": None, "ratio": {"1": 1.0}}, {"what": DEFAULT, "ratio": {"1": 0.35}}],
        **more,
    }


def test_each_target_is_held_or_not() -> None:
    assert [(target.reached, target.held) for target in targets(invented())] == [
        ("95.0%", True),  # people of the scene
        ("0.050", True),  # AP
        ("0.079", False),  # AP50
        ("1.15", False),  # points of AP lost to int8
        ("0.35", True),  # time beside the default model's
        ("100.0%", True),  # operators on the Edge TPU
        ("1,500,001", False),  # bytes
    ]
    assert loss_points(invented(), "AP50") is None


def test_what_was_not_measured_is_neither_held_nor_missed() -> None:
    alone = invented(float=None, speed=[{"what": None, "ratio": {"1": 1.0}}])
    assert [at for at, target in enumerate(targets(alone)) if not target.reached] == [3, 4]


def test_two_pieces_are_not_one() -> None:
    divided = {"bytes": 5, "edgetpu": {"tpu_ops": 73, "ops": 73, "partitions": 2}}
    edgetpu = targets(invented(facts=divided))[5]
    assert (edgetpu.reached, edgetpu.held) == ("0.0%", False)


# The command


def test_one_command_measures_everything_and_writes_the_card(
    images: list[str | Path], starter: Path, mirror: Path, tmp_path: Path
) -> None:
    card = tmp_path / "starter.md"
    card.write_text(CARD, encoding="utf-8")
    float_model = echo_model(tmp_path / "float.tflite", height=64, width=96)
    env = {**NO_MIRROR, "EDGE_POSE_MODEL_MIRROR": str(mirror)}
    done = measure(starter, "--float", float_model, *images, "--frames", "2", "--write", "--json", env=env)
    assert (done.code, done.err) == (0, "")
    text = card.read_text(encoding="utf-8")
    figures = json.loads(done.out)
    assert text == CARD.replace("\nold\n", f"\n\n{markdown(figures)}\n\n")
    assert str(tmp_path) not in text
    assert figures["facts"]["sha256"] == hashlib.sha256(starter.read_bytes()).hexdigest()
    assert (figures["facts"]["edgetpu"]["tpu_ops"], figures["facts"]["edgetpu"]["partitions"]) == (9, 1)
    for version in (figures["int8"], figures["float"]):
        assert (version["images"]["images"], version["images"]["people"], version["images"]["size"]) == (2, 3, "64x96")
        assert version["pck"]["frames"] == 2
    assert (DEFAULT, "usual", "64x96") in [(row["what"], row["model"], row["size"]) for row in figures["speed"]]
    assert all(target.reached for target in targets(figures))


def test_the_default_is_left_out_where_it_has_another_size_and_the_derived_one_is_made(
    images: list[str | Path], mirror: Path, tmp_path: Path
) -> None:
    env = {**NO_MIRROR, "EDGE_POSE_MODEL_MIRROR": str(mirror)}
    own = echo_model(tmp_path / "own.tflite", height=96, width=128)
    done = measure(own, *images, "--frames", "1", "--json", env=env)
    assert done.code == 0
    (line,) = done.err.splitlines()
    assert line.endswith("usual.tflite: its size is fixed, 64x96: leave @HxW out")
    rows = [(row["what"], row["model"], row["size"]) for row in json.loads(done.out)["speed"]]
    assert rows == [(None, "own", "96x128"), (DERIVED, "movenet-lightning-heads-int8", "96x128")]


def test_a_missing_baseline_is_left_out_with_a_line_why(images: list[str | Path], starter: Path) -> None:
    done = measure(starter, *images, "--frames", "1", "--json")
    assert done.code == 0, done.err
    assert [line[:26] for line in done.err.splitlines()] == ["model_card: not compared: "] * 2
    figures = json.loads(done.out)
    assert (figures["left_out"], [row["model"] for row in figures["speed"]]) == ([DEFAULT, DERIVED], ["starter"])
    assert (figures["float"], figures["int8"]["images"]["people"]) == (None, 3)
    assert [target.reached for target in targets(figures)].count("") == 2
    assert markdown(figures)


def test_times_are_compared_with_requested_models(images: list[str | Path], starter: Path, tmp_path: Path) -> None:
    own = echo_model(tmp_path / "own.tflite", height=64, width=96)
    done = measure(starter, *images, "--frames", "1", "--json", "--against", f"{own}@64x96", "--against", own)
    assert (done.code, done.err) == (0, "")
    ours, *others = json.loads(done.out)["speed"]
    assert [row["what"] for row in others] == ["own@64x96", "own"]
    assert set(ours["ms"]) == {"1", "2"}
    assert ours["ratio"] == {"1": 1, "2": 1}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["m.tflite"], 64, "--images"),
        (["m.tflite", "--frames", "0"], 64, "--frames takes a number from 1 on"),
        (["m.tflite", "--frames", "many"], 64, "many"),
        (["m.tflite", "--against", "x@100x100"], 64, "100x100"),
        (["m.tflite", "--unheard-of"], 64, "--unheard-of"),
        (["none/m.tflite"], 66, "none/m.tflite: no such model file"),
        (["none/m.tflite", "--write"], 66, "none/m.md: cannot read the card"),
        (["STARTER", "--float", "none/f.tflite"], 66, "none/f.tflite: no such model file"),
        (["STARTER", "--against", "nobody"], 69, "nobody"),
        (["STARTER", "--against", "FIXED@128x96"], 64, "its size is fixed, 32x64"),
        (["STARTER", "--write", "--card", "PEOPLE"], 66, "no place for the figures"),
        (["CUT"], 78, "damaged"),
    ],
)
def test_bad_input_is_one_line_and_its_code(
    images: list[str | Path], starter: Path, words: list[str], code: int, says: str
) -> None:
    cut = starter.with_name("cut.tflite")
    cut.write_bytes(starter.read_bytes()[:2000])
    fixed = echo_model(starter.with_name("fixed.tflite"))
    places = {"STARTER": starter, "FIXED": fixed, "PEOPLE": starter.with_name("people.json"), "CUT": cut}
    for name, path in places.items():
        words = [word.replace(name, str(path)) for word in words]
    done = measure(*words, *([] if says == "--images" else images))
    assert (done.code, done.out) == (code, "")
    assert len(done.err.splitlines()) == 1, done.err
    assert says in done.err


def test_the_starters_card_has_a_place_for_the_figures() -> None:
    require_place(PROJECT / "models" / "starter.md")
