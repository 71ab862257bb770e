"""Poses in one image: the same that the flow finds, with nothing remembered from the image before."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from builders import ScriptedEngine, frame
from edge.agent.pipeline import Flow
from edge.estimator import Estimator
from edge.ports import ModelSpec


class SizedEngine(ScriptedEngine):
    """Takes an input of the image's orientation; keeps the images' sizes and the inputs' (height, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.sized_for: list[tuple[int, int]] = []
        self.shapes: list[tuple[int, ...]] = []

    def size_for(self, image_size: tuple[int, int]) -> ModelSpec:
        self.sized_for.append(image_size)
        if (image_size[0] < image_size[1]) != (self.spec.input_size[0] < self.spec.input_size[1]):
            self.spec = replace(self.spec, input_size=self.spec.input_size[::-1])
        return self.spec

    def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        self.shapes.append(tensor.shape[1:3])
        return super().run(np.zeros((1, 32, 64, 3), np.uint8))


def test_duplicates_and_low_scores_are_left_out_and_the_best_come_first() -> None:
    engine = ScriptedEngine()
    estimator = Estimator(engine)
    image = np.zeros((90, 160, 3), np.uint8)
    assert [len(estimator.poses(image)) for _ in range(4)] == [1, 1, 2, 3]  # the second repeats the first
    assert len(Estimator(engine, max_people=2).poses(image)) == 2
    assert Estimator(engine, min_score=0.95).poses(image) == ()


def test_one_image_and_the_flow_find_the_same() -> None:
    single, estimator = Estimator(ScriptedEngine()), Estimator(ScriptedEngine())
    flow = Flow(estimator=estimator)
    for index in range(5):
        found = single.poses(frame(index).image)
        through = flow.step(frame(index)).poses
        assert [pose.score for pose in found] == [pose.score for pose in through]
        for one, other in zip(found, through, strict=True):
            np.testing.assert_array_equal(one.keypoints, other.keypoints)
            np.testing.assert_array_equal(one.box_xyxy, other.box_xyxy)


def test_the_engine_decides_the_size_of_the_input_for_each_image() -> None:
    engine = SizedEngine()
    estimator = Estimator(engine)
    for width, height in ((160, 90), (90, 160), (90, 160), (160, 90)):
        estimator.poses(np.zeros((height, width, 3), np.uint8))
    assert engine.sized_for == [(160, 90), (90, 160), (90, 160), (160, 90)]
    assert engine.shapes == [(32, 64), (64, 32), (64, 32), (32, 64)]


def test_an_input_uses_the_buffer_of_the_one_before_while_nothing_changes() -> None:
    estimator = Estimator(ScriptedEngine())
    assert len({estimator.input_of(frame(index)).tensor.ctypes.data for index in range(5)}) == 1


def test_an_input_made_ahead_is_the_same_and_is_used_while_the_engine_wants_that_size() -> None:
    engine = SizedEngine()
    estimator = Estimator(engine)
    assert estimator.input_ahead(frame(0)) is None  # only the engine knows the size
    first = estimator.input_of(frame(0))
    ahead = estimator.input_ahead(frame(1))
    assert ahead is not None
    np.testing.assert_array_equal(ahead.tensor, first.tensor)
    assert ahead.letterbox == first.letterbox
    assert not np.shares_memory(ahead.tensor, first.tensor)
    assert estimator.input_of(frame(1), ahead) is ahead
    assert estimator.input_ahead(frame(2, width=36, height=64)) is None


def test_an_input_made_ahead_is_made_again_where_the_engine_wants_another_size_by_then() -> None:
    engine = SizedEngine()
    estimator = Estimator(engine)
    estimator.input_of(frame(0))
    ahead = estimator.input_ahead(frame(1))
    engine.spec = replace(engine.spec, input_size=(128, 96))
    made = estimator.input_of(frame(1), ahead)
    assert made is not ahead
    assert made.tensor.shape == (1, 96, 128, 3)
    following = estimator.input_ahead(frame(2))
    assert following is not None
    assert following.tensor.shape == made.tensor.shape
