"""The scene: the same people for the same frame, and a truth that fits what is drawn."""

import json
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from command import use_tool
from crossing import crossing_scene
from data import model, needs_models
from edge.camera.scene import SceneCamera
from edge.frame import Image
from edge.poses.pose import LEFT, RIGHT
from edge.scene.cast import Actor
from edge.scene.scene import Scene
from edge.scene.truth import TruePerson

SIZE = (320, 180)
SHOULDERS, HIPS, KNEES, ANKLES = (5, 6), (11, 12), (13, 14), (15, 16)


class NoPeople:
    """A cast for an empty hall."""

    def at(self, time_s: float) -> list[Actor]:  # noqa: ARG002 - the hall is empty at any time
        return []


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(size=SIZE, seed=4)


def height(person: TruePerson) -> float:
    return float(person.box_xyxy[3] - person.box_xyxy[1])


def middle_x(person: TruePerson) -> float:
    return float(person.keypoints[HIPS, 0].mean())


def test_a_frame_is_the_same_whenever_and_by_whomever_it_is_drawn(scene: Scene) -> None:
    first, people = scene.draw(70)
    scene.draw(5)
    again, same_people = Scene(size=SIZE, seed=4).draw(70)
    assert (first == again).all()
    assert [person.id for person in people] == [person.id for person in same_people]
    assert all((a.keypoints == b.keypoints).all() for a, b in zip(people, same_people, strict=True))


def test_another_seed_is_another_day(scene: Scene) -> None:
    assert (scene.draw(70)[0] != Scene(size=SIZE, seed=5).draw(70)[0]).any()


def test_another_frame_rate_shows_the_same_moment_at_another_index(scene: Scene) -> None:
    faster = Scene(size=SIZE, fps=50, seed=4).truth(140)
    assert all((a.keypoints == b.keypoints).all() for a, b in zip(scene.truth(70), faster, strict=True))


def test_it_draws_into_the_given_image(scene: Scene) -> None:
    out = np.zeros((180, 320, 3), np.uint8)
    image, _ = scene.draw(70, out)
    assert image is out
    assert (out == scene.draw(70)[0]).all()


def test_days_later_people_still_come_and_go(scene: Scene) -> None:
    image, people = scene.draw(30_000_001)
    assert image.std() > 10
    assert 4 <= len(people) <= 6
    assert min(person.id for person in people) > 10_000


def test_four_to_six_people_are_in_view_and_three_of_them_are_tall(scene: Scene) -> None:
    moments = [scene.truth(index) for index in range(0, 25 * 120, 10)]
    counts = [len(people) for people in moments]
    assert min(counts) >= 4
    assert max(counts) <= 6
    assert np.mean(counts) >= 5
    assert min(sum(height(person) > 0.2 for person in people) for people in moments) >= 3


def test_people_leave_and_others_come_with_ids_never_seen_before(scene: Scene) -> None:
    last_seen: dict[int, int] = {}
    for moment, index in enumerate(range(0, 25 * 240, 25)):
        for person in scene.truth(index):
            assert last_seen.get(person.id, moment - 1) == moment - 1, f"person {person.id} came back"
            last_seen[person.id] = moment
    assert len(last_seen) > 12


def test_people_pass_in_front_of_each_other_nine_times_a_minute(scene: Scene) -> None:
    crossings = 0
    for before, after in pairwise(scene.truth(index) for index in range(0, 25 * 120, 5)):
        old = {person.id: middle_x(person) for person in before if height(person) > 0.2}
        new = {person.id: middle_x(person) for person in after if person.id in old}
        crossings += sum((old[a] < old[b]) != (new[a] < new[b]) for a in new for b in new if a < b)
    assert crossings == pytest.approx(18, abs=2)


def test_nobody_jumps(scene: Scene) -> None:
    for before, after in pairwise(scene.truth(index) for index in range(25 * 30)):
        old = {person.id: person.keypoints for person in before}
        for person in after:
            if person.id in old:
                assert np.abs(person.keypoints[:, :2] - old[person.id][:, :2]).max() < 0.05


def test_bodies_stand_upright(scene: Scene) -> None:
    for person in scene.truth(70):
        y = [person.keypoints[pair, 1].mean() for pair in ((3, 4), SHOULDERS, HIPS, KNEES, ANKLES)]
        assert y == sorted(y)


def test_who_looks_at_the_camera_has_the_left_side_at_larger_x(scene: Scene) -> None:
    facing = [
        person
        for index in range(0, 2500, 125)
        for person in scene.truth(index)
        if height(person) > 0.2 and (person.keypoints[:5, 2] == 2).all()
    ]
    assert len(facing) > 10
    for person in facing:
        assert (person.keypoints[LEFT[:3], 0] > person.keypoints[RIGHT[:3], 0]).all()


def test_who_looks_away_shows_no_nose_and_has_the_left_side_at_smaller_x(scene: Scene) -> None:
    people = [person for index in range(0, 5000, 50) for person in scene.truth(index) if height(person) > 0.2]
    away = [person for person in people if person.keypoints[5, 0] < person.keypoints[6, 0] - 0.04]
    assert away
    for person in away:
        assert person.keypoints[0, 2] < 2


def test_a_person_behind_another_has_hidden_keypoints_and_the_one_in_front_has_none() -> None:
    scene = crossing_scene(size=SIZE)
    near, far = min((scene.truth(index) for index in range(150)), key=lambda two: two[1].visible_fraction)
    assert near.visible_fraction == 1
    assert far.visible_fraction < 0.6
    assert (far.keypoints[:, 2] == 1).any()


def test_who_is_mostly_hidden_or_outside_does_not_count_as_visible(scene: Scene) -> None:
    people = [person for index in range(0, 2000, 10) for person in scene.truth(index)]
    gone = [person for person in people if (person.keypoints[:, 2] == 0).sum() > 9]
    assert gone
    assert not any(person.visible for person in gone)


def test_keypoints_outside_the_image_are_marked_as_not_there(scene: Scene) -> None:
    for index in range(0, 4000, 20):
        for person in scene.truth(index):
            inside = ((person.keypoints[:, :2] >= 0) & (person.keypoints[:, :2] < 1)).all(1)
            assert ((person.keypoints[:, 2] > 0) == inside).all()
            assert (person.box_xyxy >= 0).all()
            assert (person.box_xyxy <= 1).all()


@pytest.mark.parametrize("size", [(320, 180), (180, 320), (64, 48)])
def test_two_people_cross_and_part_within_six_seconds(size: tuple[int, int]) -> None:
    scene = crossing_scene(size=size, fps=20)
    start, end = scene.truth(0), scene.truth(120)
    assert [person.id for person in start] == [person.id for person in end] == [1, 2]
    assert start[0].box_xyxy[2] < start[1].box_xyxy[0]
    assert end[1].box_xyxy[2] < end[0].box_xyxy[0]
    assert all(person.visible for person in (*start, *end))


def test_the_crossing_world_goes_on_for_ever_without_a_jump() -> None:
    scene = crossing_scene(size=SIZE, fps=20)
    moments = [scene.truth(index) for index in range(20 * 40)]
    for people in moments:
        assert [person.id for person in people] == [1, 2]
        assert all(person.box_xyxy[0] > 0 and person.box_xyxy[2] < 1 for person in people)
    for before, after in pairwise(moments):
        for old, new in zip(before, after, strict=True):
            assert np.abs(new.keypoints[:, :2] - old.keypoints[:, :2]).max() < 0.05


def drawn(image: Image, index: int, rotate: int) -> NDArray[np.bool_]:
    """Return where an image differs much from that of the empty hall: (H, W)."""
    empty, _ = Scene(size=SIZE, seed=4, cast=NoPeople()).draw(index)
    return np.asarray(np.abs(image.astype(int) - np.rot90(empty, -rotate // 90)).max(2) > 60)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_the_truth_lies_where_the_delivered_image_shows_people(rotate: int) -> None:
    camera = SceneCamera(size=SIZE, seed=4, paced=False, rotate=rotate)
    camera.open()
    frame = camera.read()
    assert frame is not None
    shows = drawn(frame.image, frame.index, rotate)
    width, height_px = camera.size
    inside = np.zeros_like(shows)
    for person in camera.truth(frame.index):
        x0, y0, x1, y1 = (person.box_xyxy * (width, height_px, width, height_px)).astype(int).tolist()
        inside[max(0, y0 - 2) : y1 + 3, max(0, x0 - 2) : x1 + 3] = True
        assert shows[y0:y1, x0:x1].mean() > 0.1
    assert not (shows & ~inside).any()


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_the_truth_turns_with_the_image(rotate: int) -> None:
    upright = SceneCamera(size=SIZE, seed=4).truth(0)
    turned = SceneCamera(size=SIZE, seed=4, rotate=rotate).truth(0)
    for before, after in zip(upright, turned, strict=True):
        (nose_x, nose_y), (x, y) = before.keypoints[0, :2], after.keypoints[0, :2]
        wanted = {90: (1 - nose_y, nose_x), 180: (1 - nose_x, 1 - nose_y), 270: (nose_y, 1 - nose_x)}[rotate]
        assert (x, y) == pytest.approx(wanted)


@pytest.mark.parametrize(("hflip", "vflip"), [(True, False), (False, True), (True, True)])
def test_the_truth_is_mirrored_with_the_image(*, hflip: bool, vflip: bool) -> None:
    upright = SceneCamera(size=SIZE, seed=4).truth(0)
    mirrored = SceneCamera(size=SIZE, seed=4, hflip=hflip, vflip=vflip).truth(0)
    for before, after in zip(upright, mirrored, strict=True):
        for index in range(17):
            pair = 0 if index == 0 or hflip == vflip else (1 if index % 2 else -1)  # left and right change places
            x, y = before.keypoints[index + pair, :2]
            wanted = (1 - x if hflip else x, 1 - y if vflip else y)
            assert tuple(after.keypoints[index, :2]) == pytest.approx(wanted, abs=1e-6)
        assert (after.box_xyxy[:2] <= after.box_xyxy[2:]).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 97), (33, 57), (641, 361)])
def test_odd_sizes_can_be_drawn(size: tuple[int, int]) -> None:
    assert Scene(size=size).draw(40)[0].shape == (size[1], size[0], 3)


def test_a_camera_that_is_opened_again_shows_the_frames_that_follow() -> None:
    camera = SceneCamera(size=SIZE, seed=4, paced=False)
    camera.open()
    camera.read()
    camera.interrupt()
    assert camera.read() is None
    camera.close()
    camera.open()
    frame = camera.read()
    assert frame is not None
    assert frame.index == 1
    assert (frame.image == Scene(size=SIZE, seed=4).draw(1)[0]).all()


@needs_models
def test_the_model_finds_the_people_of_the_scene() -> None:
    standin = model("multipose_standin_f16.tflite")
    done = use_tool("evaluate.scene_score", "--model", standin, "--json", "--frames", "40")
    assert done.code == 0, done.err
    wide, small = json.loads(done.out)
    assert (wide["size"], small["size"]) == ("256x448", "160x256")
    assert wide["found"] >= 0.90
    assert small["found"] >= 0.75
