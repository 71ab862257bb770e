"""The converter's verdict: what counts as the same pose, what is lost, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ModelError
from edge.poses.letterbox import fit
from tools.convert.checks.parity import Parity, parity, rows_of
from tools.convert.checks.pictures import Picture, scene_pictures
from tools.convert.checks.report import Findings, format_table, require_accuracy
from tools.convert.checks.runners import Rows
from tools.convert.checks.speed import Speed

SIZE = (256, 160)
LETTERBOX = fit((1280, 720), SIZE)
PICTURE = Picture(0, np.zeros((1, 160, 256, 3), np.uint8), LETTERBOX)


def person(x: float, score: float = 0.6) -> Rows:
    """Return a row: a person 0.1 wide and 0.5 high around `x`, a keypoint every 0.03."""
    steps = np.arange(17)
    keypoints = np.stack([0.2 + 0.03 * steps, x + 0.05 * np.sin(steps), np.full(17, 0.7)], axis=1)
    return np.concatenate([keypoints.ravel(), [0.2, x - 0.05, 0.7, x + 0.05, score]]).astype(np.float32)


def rows(*people: Rows) -> Rows:
    return np.stack(people) if people else np.empty((0, 56), np.float32)


def moved(row: Rows, keypoints: int, by: float) -> Rows:
    """Return a row whose first keypoints lie `by` further right."""
    other = row.copy()
    other[1 : 3 * keypoints : 3] += by
    return other


def test_the_same_people_in_another_order_are_the_same() -> None:
    told = parity([PICTURE], [rows(person(0.2), person(0.7))], [rows(person(0.7), person(0.2))])
    assert told == Parity(pictures=1, poses=2, keypoints=34, within=1.0, published=2, mean_oks=1.0)


def test_duplicates_of_one_person_count_each() -> None:
    told = parity([PICTURE], [rows(person(0.2), person(0.2))], [rows(person(0.2), person(0.9))])
    assert (told.poses, told.within) == (2, 1.0)


def test_keypoints_further_than_a_thousandth_of_the_frame_are_counted_one_by_one() -> None:
    told = parity([PICTURE], [rows(person(0.2))], [rows(moved(moved(person(0.2), 17, 0.0009), 3, 0.0002))])
    assert told.within == pytest.approx(14 / 17)


def test_a_score_that_differs_by_more_than_a_thousandth_is_no_parity() -> None:
    other = person(0.2)
    other[2] += 0.002
    assert parity([PICTURE], [rows(person(0.2))], [rows(other)]).within == pytest.approx(16 / 17)


def test_people_below_a_score_of_a_tenth_are_not_looked_for() -> None:
    told = parity([PICTURE], [rows(person(0.2, 0.09), person(0.7, 0.15))], [rows(person(0.7, 0.15))])
    assert (told.poses, told.within, told.published) == (1, 1.0, 0)


def test_a_person_who_is_lost_costs_the_mean_oks() -> None:
    told = parity([PICTURE], [rows(person(0.2), person(0.7))], [rows(person(0.2), person(0.7, 0.05))])
    assert told.mean_oks == pytest.approx(0.5, abs=0.01)
    assert parity([PICTURE], [rows(person(0.2))], [rows()]).mean_oks == 0


def test_oks_falls_gently_where_a_pose_shifts_a_little() -> None:
    values = [
        parity([PICTURE], [rows(person(0.4))], [rows(moved(person(0.4), 17, by))]).mean_oks for by in (0, 0.01, 0.1)
    ]
    assert values[0] == 1
    assert 0.7 < values[1] < 0.99
    assert values[2] < 0.1


def test_pictures_without_anybody_are_no_loss() -> None:
    assert parity([PICTURE], [rows()], [rows()]) == Parity(1, 0, 0, 1.0, 0, 1.0)


def test_every_picture_is_run_and_told() -> None:
    pictures = list(scene_pictures(SIZE, 3))
    told: list[tuple[int, int]] = []
    found = rows_of(lambda pixels: rows(person(float(pixels.mean()) / 256)), pictures, lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert len(found) == 3
    assert {picture.pixels.shape for picture in pictures} == {(1, 160, 256, 3)}


def findings(
    same: float | None = 1.0, oks: float | None = 1.0, *, published: int = 8, min_oks: float | None = None
) -> Findings:
    return Findings(
        output=Path("m.tflite"),
        size_bytes=4_760_000,
        input="uint8 160x256",
        ops=("CONV_2D",) * 54 + ("ADD",) * 14,
        pictures="71 pictures of there",
        same=None if same is None else Parity(71, 20, 340, same, 8, 1.0),
        rounding=None if oks is None else Parity(71, 20, 340, 0.4, published, oks),
        ap=19.104,
        speed=Speed(ms=6.5, whole_ms=9.0, ratio=0.72),
        oks_required=min_oks is not None,
        min_oks=0.9 if min_oks is None else min_oks,
    )


def test_a_file_within_the_limits_is_accepted() -> None:
    require_accuracy(findings(0.99, 0.9))
    require_accuracy(findings(None, None))


def test_a_file_whose_cut_changed_keypoints_is_refused_with_the_figures() -> None:
    with pytest.raises(ModelError, match=r"m\.tflite: not written: only 98\.9% of 340 keypoints .* 99% are needed"):
        require_accuracy(findings(0.989))


def test_a_file_that_lost_too_much_oks_is_refused_with_what_to_do() -> None:
    with pytest.raises(ModelError, match=r"mean OKS with the float graph is 0\.899; 0\.9 is needed \(--min-oks\)"):
        require_accuracy(findings(1.0, 0.8994))


def test_an_oks_that_is_asked_for_does_not_pass_on_pictures_without_a_sure_pose() -> None:
    words = r"no pose of 0\.2 or more in 71 pictures, so --min-oks cannot be checked: give --images with people"
    with pytest.raises(ModelError, match=words):
        require_accuracy(findings(published=0, min_oks=0.5))
    require_accuracy(findings(published=0))
    require_accuracy(findings(published=0, min_oks=0))


def test_the_table_says_when_the_oks_was_not_checked() -> None:
    assert "; mean OKS 1.000 over 8 poses, 0 lost, 0 false" in format_table(findings())
    assert "; no pose of 0.2 or more, so the mean OKS is not checked" in format_table(findings(published=0))


def test_the_table_tells_size_operators_parity_accuracy_and_time() -> None:
    text = format_table(findings())
    for words in ("4.76 MB", "160x256", "68: 54 CONV_2D, 14 ADD", "100.00% of 340", "19.10", "0.72 of the whole graph"):
        assert words in text
    assert "parity" not in format_table(findings(None))


def int8(*, published: int = 20, lost: int = 0, false: int = 0, min_oks: float | None = None) -> Findings:
    rounding = Parity(71, 30, 510, 0.01, published, 0.95, lost=lost, false=false)
    return replace(findings(None, min_oks=min_oks), rounding=rounding, is_int8=True)


def test_int8_of_which_nothing_was_seen_is_refused_unless_that_is_asked_for() -> None:
    with pytest.raises(ModelError, match=r"m\.tflite: not written: no pose of 0\.2 or more in 71 pictures, so nothing"):
        require_accuracy(int8(published=0))
    require_accuracy(int8(published=0, min_oks=0))


@pytest.mark.parametrize(("lost", "false"), [(6, 0), (0, 11), (12, 30)])
def test_int8_that_finds_other_people_is_refused_whatever_the_mean_oks(lost: int, false: int) -> None:
    with pytest.raises(ModelError, match=rf"of 20 people {lost} are lost, and {false} are found who are none"):
        require_accuracy(int8(lost=lost, false=false))
    require_accuracy(int8(lost=lost, false=false, min_oks=0))


def test_int8_that_finds_nearly_the_same_people_is_accepted() -> None:
    require_accuracy(int8(lost=5, false=10))


def test_lost_and_false_people_are_counted() -> None:
    told = parity([PICTURE], [rows(person(0.2), person(0.7))], [rows(person(0.2), person(0.45))])
    assert (told.published, told.lost, told.false) == (2, 1, 1)
    # What hardly is a person on one side is neither lost nor false on the other.
    told = parity([PICTURE], [rows(person(0.2, 0.21), person(0.7, 0.15))], [rows(person(0.2, 0.15), person(0.7, 0.21))])
    assert (told.published, told.lost, told.false) == (1, 0, 0)
