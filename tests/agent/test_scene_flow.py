"""The real model on the scene, end to end: what is drawn is found, and stays who it is."""

import numpy as np
import pytest

from crossing import crossing_camera
from data import model, needs_models
from edge.agent.pipeline import Flow
from edge.camera.scene import SceneCamera
from edge.engine.litert import LiteRtEngine
from edge.estimator import Estimator
from edge.poses.smooth import Smoother
from edge.poses.track import Tracker

pytestmark = needs_models
TRUNK = [5, 6, 11, 12]


def ids_beside_people(camera: SceneCamera, until_s: float) -> list[dict[int, int]]:
    """Run the flow at the default input size; for each frame, the track id that each true person was given."""
    engine = LiteRtEngine(model("multipose_standin_f16.tflite"), name="m", threads=2)
    camera.open()
    flow = Flow(estimator=Estimator(engine), tracker=Tracker(), smoother=Smoother())
    seen: list[dict[int, int]] = []
    while len(seen) < until_s * 25:
        frame = camera.read()
        assert frame is not None
        result = flow.step(frame)
        found: dict[int, int] = {}
        for person in camera.truth(frame.index):
            for pose in result.poses:
                off = np.abs(pose.keypoints[TRUNK, :2].mean(0) - person.keypoints[TRUNK, :2].mean(0))
                if pose.id is not None and off[0] < 0.04 and off[1] < 0.1:
                    found[person.id] = pose.id
        seen.append(found)
    camera.close()
    engine.close()
    return seen


@pytest.mark.parametrize("seed", [0, 1])
def test_two_people_who_cross_keep_their_ids(seed: int) -> None:
    seen = ids_beside_people(crossing_camera(seed), 6.4)
    before = next(found for found in seen if len(found) == 2)
    after = [found for found in seen[-25:] if len(found) == 2]
    assert after
    assert all(found == before for found in after)


def test_most_people_of_the_hall_have_an_id() -> None:
    seen = ids_beside_people(SceneCamera(paced=False), 6.0)
    assert np.mean([len(set(found.values())) for found in seen[25:]]) >= 2.5
