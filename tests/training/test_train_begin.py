"""A training begins with the weights of a model that was made before."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from data import model, needs_models
from edge.errors import InputError, ModelError
from tools.train.data.batch import Batch
from tools.train.model.begin import read_weights, unfold_normalization
from tools.train.model.export import Exported, export_models
from tools.train.model.network import NETWORKS, PoseNetwork, normalize
from tools.train.run.checkpoint import load_checkpoint
from training.running import complaint, train
from training.small import SHAPE, annotated, batches

SIZE = (96, 64)
Capture = pytest.CaptureFixture[str]


def learned(seed: int = 3) -> PoseNetwork:
    """Return a network whose normalizations have seen something, and whose heads say something."""
    torch.manual_seed(seed)
    made = PoseNetwork(SHAPE)
    for name, values in made.named_parameters():
        if name.startswith("heads") and values.ndim > 1:
            torch.nn.init.normal_(values, std=0.3)
    with torch.no_grad():
        for number in range(30):
            made.train()(normalize(some(number).pixels))
    made.eval()
    return made


def some(number: int = 0) -> Batch:
    return batches().make(number)


def maps(network: PoseNetwork) -> dict[str, Tensor]:
    with torch.no_grad():
        return dict(network(normalize(some().pixels)))


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the greatest distance, in spans of a head's values."""
    return max(float((one[name] - other[name]).abs().max() / (one[name].max() - one[name].min())) for name in one)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The files of a network."""
    folder = tmp_path_factory.mktemp("learned")
    return export_models(learned(), folder, size=SIZE, calibration=None, name="small", origin="a test")


@pytest.mark.parametrize(("is_int8", "near"), [(False, 1e-4), (True, 0.05)])
def test_a_network_with_the_weights_of_a_file_says_what_the_file_was_made_of(
    files: Exported, is_int8: bool, near: float
) -> None:
    begun = PoseNetwork(SHAPE)
    read_weights(files.int8_file if is_int8 else files.float_file, begun)
    assert furthest(maps(learned()), maps(begun.eval())) < near


def test_unfolded_it_says_the_same_and_in_training_nearly_the_same(files: Exported) -> None:
    begun = PoseNetwork(SHAPE)
    read_weights(files.float_file, begun)
    folded = maps(begun.eval())
    assert furthest(folded, maps(begun.train())) > 2
    read_weights(files.float_file, begun)
    unfold_normalization(begun, [some(number) for number in range(6)])
    assert furthest(folded, maps(begun.eval())) < 1e-3
    assert furthest(folded, maps(begun.train())) < 1  # six pictures give rough means
    lengths = begun.stem[1].weight.flatten(1).norm(dim=1).tolist()
    assert lengths == pytest.approx([2.0] * len(lengths), rel=1e-4)


def test_a_file_of_another_network_is_refused(files: Exported) -> None:
    with pytest.raises(ModelError, match=r"convolutions are not those of this network .*same --network"):
        read_weights(files.float_file, PoseNetwork(NETWORKS["tiny"]))


@needs_models
@pytest.mark.parametrize("name", ["movenet_multipose_f16_rebuilt.tflite", "movenet_singlepose_lightning_int8.tflite"])
def test_a_model_that_was_not_trained_here_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"no model of tools\.train"):
        read_weights(model(name), PoseNetwork(SHAPE))


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_weights(tmp_path / "gone.tflite", PoseNetwork(SHAPE))


def test_the_starter_can_be_learned_on() -> None:
    begun = PoseNetwork()
    read_weights(Path(__file__).parents[2] / "models" / "starter.tflite", begun)
    begun.eval()
    assert maps(begun)["center"].amax() > -4


def test_the_command_begins_with_a_model_and_goes_on_from_its_own_checkpoint(tmp_path: Path, capsys: Capture) -> None:
    source = ("--annotated", *annotated(tmp_path), "--rate", "0.000001", "--output")
    first = PoseNetwork(NETWORKS["tiny"]).eval()
    made = export_models(first, tmp_path, size=SIZE, calibration=None, name="tiny", origin="a test")
    words: Sequence[str | Path] = (*source, tmp_path / "out", "--begin-with", made.float_file)
    begun = train(capsys, *words, "--steps", "1")
    assert begun.code == 0, begun.err
    assert f"train: begins with the weights of {made.float_file}" in begun.err.splitlines()
    kept = PoseNetwork(NETWORKS["tiny"])
    kept.load_state_dict(load_checkpoint(tmp_path / "out" / "checkpoint.pt").average)
    assert furthest(maps(first), maps(kept.eval())) < 0.1
    again = train(capsys, *words, "--steps", "2")
    assert again.code == 0
    assert "begins with" not in again.err


def test_the_command_tells_at_once_what_it_cannot_begin_with(tmp_path: Path, capsys: Capture) -> None:
    shutil.copy(Path(__file__), tmp_path / "no.tflite")
    source = ("--annotated", *annotated(tmp_path), "--output", tmp_path / "out")
    refused = train(capsys, *source, "--begin-with", tmp_path / "no.tflite", "--steps", "1")
    assert refused.code == 66
    assert "no.tflite" in complaint(refused)
