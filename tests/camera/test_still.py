"""A camera that shows one picture for ever is noticed, and a quiet room is not one."""

import numpy as np

from builders import image
from edge.camera.still import StillWatch


def test_one_picture_is_reported_once_it_stayed_long_enough() -> None:
    watch = StillWatch(5)
    seen = [watch.check(image(), time_s) for time_s in (10.0, 10.1, 12.0, 15.0, 15.1)]
    assert seen == ["", "", "", "", "is frozen: one picture for 5 s"]


def test_a_single_pixel_of_noise_is_life() -> None:
    watch = StillWatch(5)
    for step in range(100):
        noisy = image()
        noisy[17, 9, 1] = step
        assert watch.check(noisy, 10.0 + step) == ""


def test_a_reopen_is_no_sign_of_life_and_another_picture_is() -> None:
    watch = StillWatch(5)
    for time_s in (10.0, 10.1, 16.0):
        watch.check(image(), time_s)
    watch.start()
    assert watch.check(image(), 20.0) == "still shows the same picture"
    assert watch.check(image(fill=3), 21.0) == ""
    assert watch.check(image(), 22.0) == ""


def test_a_change_of_size_is_a_change() -> None:
    watch = StillWatch(0)
    assert watch.check(image(64, 36), 10.0) == ""
    assert watch.check(np.ascontiguousarray(image(36, 64)), 11.0) == ""


def test_a_still_picture_that_a_source_may_show_is_reported_once() -> None:
    watch = StillWatch(5, once=True)
    assert [watch.check(image(), time_s) for time_s in (10.0, 10.1, 15.1)][-1]
    watch.start()
    assert [watch.check(image(), time_s) for time_s in (20.0, 20.1, 60.0)] == ["", "", ""]
    assert watch.check(image(fill=3), 61.0) == ""
    assert [watch.check(image(), time_s) for time_s in (62.0, 62.1, 99.0)] == ["", "", ""]


def test_two_still_pictures_in_turn_are_not_frozen() -> None:
    watch = StillWatch(5, once=True)
    assert [watch.check(image(), time_s) for time_s in (10.0, 10.1, 15.1)][-1]
    fills = [3 * (second % 2) for second in range(30)]
    assert [watch.check(image(fill=fill), 16.0 + second) for second, fill in enumerate(fills)] == [""] * 30
