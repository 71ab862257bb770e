"""The network: its maps, its padding, what it costs."""

import pytest
import torch

from tools.train.model.network import (
    HEAD_NAMES,
    NETWORKS,
    NetworkShape,
    PoseNetwork,
    Scaled,
    convolution,
    count_macs,
    normalize,
)
from training.small import SHAPE


def test_the_heads_are_maps_of_a_quarter_of_the_input_height_first() -> None:
    heads = PoseNetwork(SHAPE).eval()(torch.zeros(2, 3, 64, 96))
    assert {name: tuple(values.shape) for name, values in heads.items()} == {
        "center": (2, 1, 16, 24),
        "heatmap": (2, 17, 16, 24),
        "regression": (2, 34, 16, 24),
        "offset": (2, 34, 16, 24),
    }
    assert tuple(heads) == HEAD_NAMES


def test_center_and_heat_begin_as_rare() -> None:
    heads = PoseNetwork(SHAPE).eval()(torch.zeros(1, 3, 32, 32))
    for name in ("center", "heatmap"):
        assert 0.005 < float(torch.sigmoid(heads[name].detach()).mean()) < 0.05
    assert float(heads["offset"].detach().abs().mean()) < 0.5


@pytest.mark.parametrize("shape", [SHAPE, *NETWORKS.values()])
def test_a_shape_survives_being_stored(shape: NetworkShape) -> None:
    assert NetworkShape.from_json(shape.to_json()) == shape
    as_lists = {name: list(value) if isinstance(value, tuple) else value for name, value in shape.to_json().items()}
    assert NetworkShape.from_json(as_lists) == shape


def test_a_shape_says_what_it_is() -> None:
    assert str(SHAPE) == "channels 4-8-8-8-8, blocks 1-0-0-0, kernels 3-3-3-3, pyramid 8, head 8"


def test_a_convolution_of_stride_2_pads_after_as_tflite_does() -> None:
    layer = convolution(1, 1, side=3, stride=2, active=False).eval()
    kernel = next(module for module in layer if isinstance(module, torch.nn.Conv2d))
    with torch.no_grad():
        kernel.weight.zero_()[0, 0, 2, 2] = 1  # sees the pixel that is farthest right and below
        made = layer(torch.arange(16.0).reshape(1, 1, 4, 4))
    assert made.shape == (1, 1, 2, 2)
    assert made[0, 0].round().tolist() == [[10, 0], [0, 0]]


def test_a_scaled_convolution_gives_gain_times_its_weights_and_begins_at_start() -> None:
    layer = Scaled(2, 3, gain=8.0, start=-4.0)
    assert torch.allclose(layer(torch.zeros(1, 2, 1, 1)).flatten(), torch.full((3,), -4.0))
    plain = torch.nn.functional.conv2d(torch.ones(1, 2, 1, 1), layer.weight, layer.bias)
    assert torch.allclose(layer(torch.ones(1, 2, 1, 1)), 8 * plain)


def test_pixels_become_minus_one_to_one_channels_first() -> None:
    made = normalize(torch.tensor([[[[0, 255, 127]]]], dtype=torch.uint8))
    assert made.shape == (1, 3, 1, 1)
    assert made.flatten().tolist() == pytest.approx([-1, 1, -0.0039], abs=1e-4)


def test_counting_multiplications_leaves_the_network_as_it_was() -> None:
    network = PoseNetwork(SHAPE).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    small, large = count_macs(network, (32, 64)), count_macs(network, (64, 64))
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert large == 2 * small > 0


def test_the_starter_network_fits_its_budget() -> None:
    network = PoseNetwork(NETWORKS["starter"])
    assert sum(each.numel() for each in network.parameters()) < 1_400_000  # a byte each in int8: 1.5 MB
