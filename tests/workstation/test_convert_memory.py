"""However large the input, int8 keeps to a budget: fewer pictures at once, and fewer in all."""

import numpy as np
import pytest

from tools.convert.int8 import calibration
from tools.convert.int8.observe import batches
from tools.convert.int8.quantize import FIT_PIXELS, fit_images


@pytest.mark.parametrize(("side", "fitted", "at_once"), [(256, 43, 8), (1024, 3, 3), (2048, 1, 1)])
def test_no_more_pictures_go_through_the_network_at_once_than_the_budget_has_room_for(
    side: int, fitted: int, at_once: int
) -> None:
    images = np.broadcast_to(np.float32(0), (128, side, side, 3))
    assert len(fit_images(images)) == fitted
    assert fitted == 1 or fitted * side * side <= FIT_PIXELS
    parts = [len(part) for part in batches(images)]
    assert (max(parts), sum(parts)) == (at_once, 128)


def test_a_larger_input_is_calibrated_on_fewer_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MAX_PIXELS", 12 * 64 * 64)
    assert len(calibration.calibrate(None, size=(64, 64)).images) == 12
    assert len(calibration.calibrate(None, size=(128, 64)).images) == 6
