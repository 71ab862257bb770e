"""Calibration pictures: letterboxed, spread over the source, the same ones every time."""

import logging
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError
from tools.convert.int8.calibration import Calibration, calibrate
from videos import number_of, write_pictures, write_video

SIZE = (96, 160)


def numbers(made: Calibration, count: int) -> list[int]:
    """Return which pictures the first `count` images show, modulo 20."""
    return [number_of(image[48:112]) for image in made.images[:count]]


def test_a_folder_gives_rgb_letterboxed_to_the_model_size_with_black_around(tmp_path: Path) -> None:
    made = calibrate(write_pictures(tmp_path / "p", 30), size=SIZE)
    assert made.images.dtype == np.uint8
    assert made.images.shape[1:] == (160, 96, 3)
    assert not made.images[:30, :48].any()
    assert not made.images[:30, 112:].any()
    assert numbers(made, 30) == [*range(20), *range(10)]
    assert made.description == "30 pictures of p"


def test_every_other_picture_comes_once_more_smaller_and_elsewhere(tmp_path: Path) -> None:
    made = calibrate(write_pictures(tmp_path, 30), size=SIZE)
    assert len(made.images) == 45
    places = {tuple(np.argwhere(image.any(axis=2)).min(axis=0)) for image in made.images[30:]}
    assert len(places) > 10
    heights = [image.any(axis=(1, 2)).sum() for image in made.images[30:]]
    assert min(heights) < 40 < max(heights) <= 64


def test_many_pictures_are_thinned_evenly_and_the_variants_counted_in(tmp_path: Path) -> None:
    made = calibrate(write_pictures(tmp_path, 40), size=SIZE, max_images=12)
    assert numbers(made, 8) == [0, 6, 11, 17, 2, 8, 13, 19]  # 22, 28, 33, 39
    assert len(made.images) == 12


def test_the_same_seed_gives_the_same_pictures_and_another_one_other_variants(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, 24)
    first, again, other = (calibrate(folder, size=SIZE, seed=seed).images for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_frames_are_taken_from_all_over_a_video_however_long_it_is(tmp_path: Path) -> None:
    made = calibrate(write_video(tmp_path / "v.mp4", 75), size=SIZE, max_images=12)
    steps = np.diff(numbers(made, 8)) % 20
    assert set(steps.tolist()) <= {8, 16}
    assert steps.sum() >= 64
    assert made.description == "8 frames of v.mp4"


def test_without_a_source_the_scene_is_taken_and_said_so(caplog: pytest.LogCaptureFixture) -> None:
    made = calibrate(None, size=SIZE, max_images=9)
    assert made.images[:6].any(axis=(1, 2, 3)).all()
    assert made.description == "frames of the synthetic scene"
    assert "the synthetic scene: --calibration" in caplog.text


def test_fewer_than_twenty_pictures_are_taken_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = calibrate(write_pictures(tmp_path, 19), size=SIZE)
    assert len(made.images) == 29
    assert "19 pictures, fewer than 20" in caplog.text


def test_twenty_are_enough_to_keep_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        calibrate(write_pictures(tmp_path, 20), size=SIZE)
    assert not caplog.records


def test_a_broken_picture_is_left_out(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, 25)
    sorted(folder.iterdir())[3].write_bytes(b"no picture")
    assert numbers(calibrate(folder, size=SIZE), 5) == [0, 1, 2, 4, 5]


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no pictures in this folder"):
        calibrate(tmp_path, size=SIZE)


def test_a_folder_without_one_readable_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 cut off")
    with pytest.raises(InputError, match=r"no picture in it can be read"):
        calibrate(tmp_path, size=SIZE)


def test_a_source_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere"):
        calibrate(tmp_path / "nowhere", size=SIZE)


def test_progress_ends_at_its_total(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    calibrate(write_pictures(tmp_path, 20), size=SIZE, on_progress=lambda *step: told.append(step))
    assert told[-1] == (20, 20, "calibration")
