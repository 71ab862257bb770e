from dataclasses import replace

import msgspec
import numpy as np

from builders import ORIGIN, pose, result
from edge.frame import Image
from edge.output.overlay import Overlay
from edge.payload import Origin


def drawn(origin: Origin = ORIGIN, *, people: int = 0, wall_time_s: float = 0.0, fps: float | None = 25.0) -> Image:
    out = np.empty((360, 640, 3), np.uint8)
    one = result(*[pose(y=0.5, height=0.4, keypoint_score=0.0)] * people)
    frame = replace(one.frame.without_image(), wall_time_s=wall_time_s, image_size=(640, 360))
    Overlay(origin, private=True).draw(replace(one, frame=frame), fps, out)
    return out[:120]


def named(device: str) -> Origin:
    return msgspec.structs.replace(ORIGIN, device=device)


def test_every_word_of_the_status_is_drawn() -> None:
    plain = drawn()
    for other in (drawn(named("yard")), drawn(wall_time_s=0.1), drawn(people=2), drawn(fps=12.5), drawn(fps=None)):
        assert (other != plain).any()


def test_accents_are_left_out_and_what_the_font_has_not_is_marked() -> None:
    assert (drawn(named("K\u00fcche")) == drawn(named("Kuche"))).all()
    assert (drawn(named("\u53f0")) == drawn(named("?"))).all()


def test_what_was_in_the_buffer_does_not_shine_through() -> None:
    assert (drawn() == drawn()).all()
    assert np.median(drawn()) == 0
