"""The small constants of the published MultiPose graph, which its weightless topology does not carry.

Every one follows from the operation that reads it: shapes from the ranks around it, slices from the masks, the rest
from what is known of the decode (stride 4, 17 keypoints, six people, peaks equal to 1e-6, a Gaussian of
exp(-d2 / (0.3 * min(H, W))), keypoints above 0.127). Where two values do the same (an axis 3 or -1), one was taken.
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["constant"]

STRIDE_PX = 4
KEYPOINTS = 17
PEOPLE = 6
EACH = KEYPOINTS * PEOPLE

# Slices that take one number out of a shape, and which.
PICKED = {"": 1, "_1": 2, "_3": 2, "_4": 1, "_5": 2, "_7": 0, "_8": 1, "_20": 1}

VALUES: dict[str, Any] = {
    # the input: (x - mean) / (std * 127.5) - 1
    "Reshape": np.zeros((1, 1, 1, 3)),
    "truediv": np.full((1, 1, 1, 3), 1 / 127.5),
    "sub_1/y": 1,
    # peaks of the center map: (1, H * W) with one class
    "Less/y": 1e-6,
    "Reshape_2/shape": [1, -1],
    "TopKV2/k": PEOPLE,
    "floordiv/y": 1,
    "floordiv_2/y": 1,
    "floordiv_3/y": 1,
    "Reshape_3": [0] * PEOPLE,  # the batch index of each person
    "Reshape_4/shape": [-1],
    "Reshape_5/shape": [-1],
    # boxes in cells: (1, P, [h, w]) and (1, P, [dy, dx])
    "Reshape_6/shape": [1, PEOPLE, 2],
    "Reshape_7/shape": [1, PEOPLE, 2],
    "Maximum/y": 0,
    "truediv_2_recip": 0.5,
    "truediv_3_recip": 0.5,
    "truediv_4_recip": 0.5,
    "truediv_5_recip": 0.5,
    "clip_by_value/y": 0,
    "clip_by_value_1/y": 0,
    "clip_by_value_2/y": 0,
    "clip_by_value_3/y": 0,
    # boxes normalized: cells * stride / (map size * stride)
    "mul/y": STRIDE_PX,
    "mul_1/y": STRIDE_PX,
    "Const_2": 3,  # channels of the input
    "ExpandDims/dim": 0,
    "strided_slice_6/stack_1": [0, 0, 2],
    "Tile_1/multiples": [1, 1, 2],
    "mul_5/y": STRIDE_PX,
    "clip_by_value_4/Minimum/y": 1,
    "clip_by_value_4/y": 0,
    # seeds in cells, by person: (P, 17, [y, x])
    "Reshape_9/shape": [PEOPLE, KEYPOINTS, 2],
    "Reshape_10/shape": [PEOPLE, 1],
    "Reshape_11/shape": [PEOPLE, 1],
    # coordinates of all cells
    "range_1/start": 0,
    "range_1/delta": 1,
    "range_2/start": 0,
    "range_2/delta": 1,
    "meshgrid/Reshape_2/shape": [1, -1],
    "meshgrid/Reshape_3/shape": [-1, 1],
    "meshgrid/ones/Const": 1,
    # weights (H, W, P, 17) by distance from the seed, and by being inside the box
    "mul_7/x": -1,
    "mul_6/y": 0.3,
    "split/split_dim": 1,
    "Reshape_12/shape": [1, 1, PEOPLE],
    "Reshape_13/shape": [1, 1, PEOPLE],
    "Reshape_14/shape": [1, 1, PEOPLE],
    "Reshape_15/shape": [1, 1, PEOPLE],
    # the best cell of every keypoint of every person, its offset and its score
    "Reshape_16/shape": [-1, EACH],
    "ArgMax/dimension": 0,
    "Reshape_17": list(range(KEYPOINTS)) * PEOPLE,
    "Reshape_8/shape/2": KEYPOINTS,
    "Reshape_8/shape/3": 2,
    "ExpandDims_3/dim": 0,
    "ExpandDims_4/dim": 0,
    "Reshape_18/shape": [1, PEOPLE, KEYPOINTS, 2],
    "Max/reduction_indices": 2,
    "Reshape_19": list(range(KEYPOINTS)) * PEOPLE,
    "Reshape_20/shape": [1, PEOPLE, KEYPOINTS],
    # keypoints normalized
    "truediv_8/x": STRIDE_PX,
    "truediv_9/x": STRIDE_PX,
    "Reshape_21/shape": [1, 1, 1, 2],
    "ExpandDims_6/dim": 3,
    "concat/axis": 3,
    "Reshape_22/shape": [1, PEOPLE, KEYPOINTS * 3],
    # the person's score, where the class (there is one, 0) has keypoints
    "x": 0,
    "x_2": 0,
    "Tile_4/multiples": [1, 1, KEYPOINTS],
    "Greater_1/y": 0.127,
    "zeros_like": np.zeros((1, PEOPLE, KEYPOINTS)),
    "Sum_2/reduction_indices": 2,
    "Sum_3/reduction_indices": 2,
    "Maximum_1/y": 1,
    "concat_1/axis": 2,
}


def constant(name: str, dtype: type[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the constant `name` of the graph.

    Args:
        name: the node's name below `StatefulPartitionedCall/`.
        dtype: the type that the topology gives it.
        shape: the shape that the topology gives it.

    Raises:
        KeyError: no constant of the graph is called so.
        ValueError: its shape here is not that of the topology.
    """
    value = np.asarray(_value(name, shape), dtype)
    if value.shape != shape:
        raise ValueError(f"{name}: {value.shape} here, {shape} in the topology")
    return value


def _value(name: str, shape: tuple[int, ...]) -> Any:
    if name in VALUES:
        return VALUES[name]
    if "/up_sampling2d" in name:  # height and width out of a shape, doubled
        return {"Const": [2, 2], "stack": [1], "stack_1": [3], "stack_2": [1]}[name.rsplit("/", 1)[1]]
    part = re.fullmatch(r"strided_slice(_\d+)?/(stack\w*)", name)
    if part is None:
        raise KeyError(name)
    return _bound(part[1] or "", part[2], shape)


def _bound(number: str, bound: str, shape: tuple[int, ...]) -> Any:
    if number in PICKED:
        return {"stack": [PICKED[number]], "stack_1": [PICKED[number] + 1], "stack_2": [1]}[bound]
    # All others keep whole axes and add new ones, by their masks.
    return np.full(shape, int(bound == "stack_2"))
