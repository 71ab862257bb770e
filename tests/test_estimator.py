"""Poses in one image: the same that the flow finds, with nothing remembered from the image before."""

import numpy as np

from builders import ScriptedEngine, frame
from edge.agent.pipeline import Flow
from edge.estimator import Estimator
from edge.ports import ModelSpec


class SizedEngine(ScriptedEngine):
    """Remembers for which images it was sized."""

    def __init__(self) -> None:
        super().__init__()
        self.sized_for: list[tuple[int, int]] = []

    def size_for(self, image_size: tuple[int, int]) -> ModelSpec:
        self.sized_for.append(image_size)
        return self.spec


def test_duplicates_and_low_scores_are_left_out_and_the_best_come_first() -> None:
    engine = ScriptedEngine()
    estimator = Estimator(engine)
    image = np.zeros((90, 160, 3), np.uint8)
    assert [len(estimator.poses(image)) for _ in range(4)] == [1, 1, 2, 3]  # the second repeats the first
    assert len(Estimator(engine, max_people=2).poses(image)) == 2
    assert Estimator(engine, min_score=0.95).poses(image) == ()


def test_one_image_and_the_flow_find_the_same() -> None:
    single, estimator = Estimator(ScriptedEngine()), Estimator(ScriptedEngine())
    flow, maker = Flow(estimator=estimator), estimator.input_maker((64, 36))
    for index in range(5):
        found = single.poses(frame(index).image)
        through = flow.step(maker.make(frame(index))).poses
        assert [pose.score for pose in found] == [pose.score for pose in through]
        for one, other in zip(found, through, strict=True):
            np.testing.assert_array_equal(one.keypoints, other.keypoints)
            np.testing.assert_array_equal(one.box_xyxy, other.box_xyxy)


def test_the_first_image_fixes_the_size_of_the_models_input() -> None:
    engine = SizedEngine()
    estimator = Estimator(engine)
    estimator.poses(np.zeros((90, 160, 3), np.uint8))
    estimator.poses(np.zeros((50, 40, 3), np.uint8))  # letterboxed into the same input
    assert engine.sized_for == [(160, 90)]
