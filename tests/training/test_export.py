"""A trained network and the files made from it say the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge.engine.litert import LiteRtEngine
from edge.poses.head_maps import HEADS
from edge.tflite.notes import read_notes
from tools.convert.int8.execute import run_network
from tools.edgetpu.graph import read_graph
from tools.edgetpu.partition import plan
from tools.train.model.export import Exported, export_models, to_layers
from tools.train.model.network import HEAD_NAMES, NetworkShape, PoseNetwork, normalize

SIZE = (96, 64)
SHAPE = NetworkShape(channels=(8, 12, 16, 24, 32), blocks=(1, 2, 1, 1), kernels=(3, 5, 3, 5), pyramid=12, head=16)


def network() -> PoseNetwork:
    """Return a small network whose normalizations have seen something, and whose heads say something."""
    torch.manual_seed(3)
    made = PoseNetwork(SHAPE)
    for name, values in made.named_parameters():
        if name.startswith("heads") and values.ndim > 1:
            torch.nn.init.normal_(values, std=0.3)
    with torch.no_grad():
        for _ in range(4):
            made.train()(torch.randn(4, 3, 64, 96))
    made.eval()
    return made


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The files of a small network."""
    folder = tmp_path_factory.mktemp("exported")
    return export_models(network(), folder, size=SIZE, calibration=None, name="small", origin="a test")


def some_pixels() -> NDArray[np.uint8]:
    """Return an input (1, H, W, 3) with an edge, a slope and noise in it."""
    rng = np.random.default_rng(5)
    pixels = np.tile(np.linspace(0, 200, SIZE[0])[None, :, None], (SIZE[1], 1, 3))
    pixels[20:, 50:] = (240, 20, 90)
    return np.clip(pixels + rng.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)[None]


def torch_maps(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return the maps (1, h, w, C) by head that torch computes."""
    with torch.no_grad():
        heads = network()(normalize(torch.from_numpy(pixels)))
    return {name: values.permute(0, 2, 3, 1).numpy() for name, values in heads.items()}


def file_maps(path: Path, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return the real maps (1, h, w, C) by head that a file gives."""
    engine = LiteRtEngine(path, name="small", input_size=SIZE)
    assert engine.spec.heads is not None
    made = zip(HEAD_NAMES, engine.run(pixels), engine.spec.heads.maps, strict=True)
    real = {name: values.astype(np.float32) * spec.scale + spec.shift for name, values, spec in made}
    engine.close()
    return real


def test_layers_compute_what_the_network_computes() -> None:
    pixels = some_pixels()
    layers = to_layers(network(), SIZE)
    maps = run_network(layers, (pixels.astype(np.float32) - 127.5) / 127.5)
    for name, expected in torch_maps(pixels).items():
        assert np.abs(maps[name] - expected).max() < 1e-4


def test_the_float_file_says_what_the_network_says(exported: Exported) -> None:
    pixels = some_pixels()
    found = file_maps(exported.float_file, pixels)
    for name, expected in torch_maps(pixels).items():
        assert np.ptp(expected) > 0.1
        assert np.abs(found[name] - expected).max() < 1e-4


def test_the_int8_file_says_nearly_the_same(exported: Exported) -> None:
    pixels = some_pixels()
    found = file_maps(exported.int8_file, pixels)
    for name, expected in torch_maps(pixels).items():
        # Values are clipped where nobody looks: most cells must be near, not all.
        near = np.abs(found[name] - expected) < 0.1 * np.ptp(expected)
        assert near.mean() > 0.9, name


def test_every_operator_of_the_int8_file_is_for_the_edge_tpu(exported: Exported) -> None:
    planned = plan(read_graph(exported.int8_file))
    assert planned.tpu_ops == len(planned.places)


def test_the_files_tell_what_they_are(exported: Exported) -> None:
    for path, quantization in ((exported.float_file, "none"), (exported.int8_file, "int8")):
        notes = read_notes(path)
        assert notes is not None
        assert (notes.kind, notes.heads, notes.quantization) == ("heads", HEADS[:4], quantization)
        assert notes.source is not None
        assert notes.source.name == "a test"


def test_the_int8_file_takes_pixels_as_they_are(exported: Exported) -> None:
    engine = LiteRtEngine(exported.int8_file, name="small", input_size=SIZE)
    assert engine.spec.input_dtype == "uint8"
    assert engine.spec.input_codes is None
    engine.close()
