from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.engine.convert_input import convert_input
from edge.ports import ModelSpec

PIXELS = np.arange(256)
CODES: dict[str, NDArray[Any] | None] = {
    "uint8": None,
    "int8": (PIXELS - 128).astype(np.int8),
    "int32": PIXELS.astype(np.int32),
    "float32": (PIXELS / 127.5 - 1).astype(np.float32),
}


def spec(dtype: str, width: int = 32, height: int = 16) -> ModelSpec:
    return ModelSpec("own", "multipose", (width, height), dtype, CODES[dtype])


def made_for(target: ModelSpec, pixels: NDArray[np.uint8]) -> NDArray[Any]:
    return pixels if target.input_codes is None else np.asarray(target.input_codes[pixels])


def ramp() -> NDArray[np.uint8]:
    return (np.arange(16 * 32 * 3) % 256).astype(np.uint8).reshape(1, 16, 32, 3)


@pytest.mark.parametrize("target", CODES)
@pytest.mark.parametrize("source", CODES)
def test_between_models_of_one_size_no_pixel_changes_its_value(source: str, target: str) -> None:
    there = convert_input(made_for(spec(source), ramp()), spec(source), spec(target))
    assert there.dtype == np.dtype(target)
    np.testing.assert_array_equal(there, made_for(spec(target), ramp()))


def test_an_input_that_fits_already_is_handed_on_as_it_is() -> None:
    for dtype in CODES:
        tensor = made_for(spec(dtype), ramp())
        assert convert_input(tensor, spec(dtype), spec(dtype)) is tensor


@pytest.mark.parametrize(("width", "height"), [(64, 64), (16, 8), (48, 8)])
def test_a_place_in_the_picture_stays_where_it_is_in_parts_of_its_sides(width: int, height: int) -> None:
    picture = np.zeros((1, 16, 32, 3), np.uint8)
    picture[0, 4:8, 24:32] = (240, 120, 60)  # x 3/4 to 1, y 1/4 to 1/2
    there = convert_input(picture, spec("uint8"), spec("uint8", width, height))[0]
    assert there.shape == (height, width, 3)
    middle = there[round(height * 3 / 8 - 0.5), round(width * 7 / 8 - 0.5)]
    assert middle[0] > 200
    assert middle[0] > middle[1] > middle[2]
    assert there[height * 3 // 4 :].max() == there[:, : width // 2].max() == 0
