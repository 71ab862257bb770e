"""The package's way through an image costs no accuracy: its AP is that of a bare loop over the same model."""

import contextlib
import io
import warnings
from typing import Any

import cv2
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from data import data, model, needs_data, needs_models
from edge.camera.images import ImagesCamera
from edge.engine.litert import LiteRtEngine
from edge.poses.decode import Decoder
from edge.poses.matching import pose_nms
from edge.poses.model_input import InputMaker

SIDE_PX = 256
MODEL = "movenet_multipose_f16_rebuilt.tflite"
Detection = dict[str, Any]


def bare_loop(coco: Any) -> list[Detection]:
    """Read, resize, pad, invoke, scale back: what anybody would write, without a line of ours."""
    interpreter = Interpreter(model_path=str(model(MODEL)), num_threads=2)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, [1, SIDE_PX, SIDE_PX, 3])
    interpreter.allocate_tensors()
    found = []
    for image_id, info in coco.imgs.items():
        bgr = cv2.imread(str(data(f"coco_dev/images/{info['file_name']}")))
        assert bgr is not None
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        scale = SIDE_PX / max(rgb.shape)
        small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        top, left = (SIDE_PX - small.shape[0]) // 2, (SIDE_PX - small.shape[1]) // 2
        square = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
        square[top : top + small.shape[0], left : left + small.shape[1]] = small
        interpreter.set_tensor(index, square[None])
        interpreter.invoke()
        for row in interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]:
            points = row[:51].reshape(17, 3)
            xy = np.stack([points[:, 1] * SIDE_PX - left, points[:, 0] * SIDE_PX - top], -1) / scale
            found.append(detection(image_id, xy, float(row[55])))
    return found


def package_loop(coco: Any) -> tuple[list[Detection], list[Detection]]:
    """The same with the camera, the letterbox, the engine and the decoder of the package.

    Returns:
        All that it finds, and what is left without duplicates.
    """
    engine = LiteRtEngine(model(MODEL), name="m", threads=2, input_size=(SIDE_PX, SIDE_PX))
    maker = InputMaker(engine.spec.input_size, engine.spec.input_dtype, engine.spec.input_codes)
    camera = ImagesCamera(data("coco_dev/images"), paced=False)
    names = sorted((info["file_name"], image_id) for image_id, info in coco.imgs.items())
    found: list[Detection] = []
    unique: list[Detection] = []
    camera.open()
    while (frame := camera.read()) is not None:
        made = maker.make(frame)
        poses = Decoder().decode(engine.spec, engine.run(made.tensor), made.letterbox, min_score=0.0)
        image_id = names[frame.index][1]
        for into, kept in ((found, poses), (unique, pose_nms(poses, frame.size))):
            into += [detection(image_id, pose.keypoints[:, :2] * frame.size, pose.score) for pose in kept]
    camera.close()
    return found, unique


def detection(image_id: int, xy_px: NDArray[Any], score: float) -> Detection:
    keypoints = np.concatenate([xy_px, np.ones((17, 1))], -1).ravel().astype(float).tolist()
    return {"image_id": image_id, "category_id": 1, "keypoints": keypoints, "score": score}


def average_precision(coco: Any, detections: list[Detection]) -> float:
    """COCO's OKS AP, 0..100."""
    from pycocotools.cocoeval import COCOeval

    evaluation = COCOeval(coco, coco.loadRes(detections), "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0]) * 100


@needs_data
@needs_models
def test_the_package_reaches_the_ap_of_a_bare_loop_and_removing_duplicates_costs_none() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pycocotools is not ours to mend
        from pycocotools.coco import COCO

        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(data("coco_dev/person_keypoints.json")))
            bare, ours, unique = (average_precision(coco, found) for found in (bare_loop(coco), *package_loop(coco)))
    assert bare > 10
    assert ours == pytest.approx(bare, abs=0.3)  # 24.9 and 24.9 when this was written
    assert unique > bare - 0.3
