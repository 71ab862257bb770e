"""A checkpoint is whole, or it is the one before."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from command import environment
from edge.errors import InputError, ModelError, UnavailableError
from tools.train.run.checkpoint import load_checkpoint, save_checkpoint
from training.small import batches, trainer

CHILD = """
import sys
from pathlib import Path
from tools.train.run.checkpoint import save_checkpoint
from training.small import trainer
learner = trainer()
learner.step = 9
try:
    save_checkpoint(Path(sys.argv[1]), learner.checkpoint())
except Exception as error:
    print(type(error).__name__, error)
"""


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    learner = trainer()
    made = batches()
    learner.learn(made.make(0))
    made.close()
    save_checkpoint(tmp_path / "c.pt", learner.checkpoint())
    found = load_checkpoint(tmp_path / "c.pt")
    again = trainer()
    again.resume(found)
    assert again.step == 1
    kept = learner.network.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in again.network.state_dict().items())
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_on_a_full_disk_the_checkpoint_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, trainer().checkpoint())
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment({"PYTHONPATH": ":".join(sys.path)}),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.stdout.startswith(f"UnavailableError {path}: cannot be written: File too large"), done.stderr
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["c.pt"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_one_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, trainer().checkpoint())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match=r"c\.pt: the checkpoint is damaged: remove it"):
        load_checkpoint(path)


def test_another_programs_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "c.pt")
    with pytest.raises(ModelError, match="not a checkpoint of this training"):
        load_checkpoint(tmp_path / "c.pt")


def test_one_that_lacks_a_part_is_damaged(tmp_path: Path) -> None:
    torch.save({"format": "edge-pose training 1", "step": 3}, tmp_path / "c.pt")
    with pytest.raises(ModelError, match="damaged"):
        load_checkpoint(tmp_path / "c.pt")


def test_a_missing_one_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_checkpoint(tmp_path / "c.pt")
    with pytest.raises(InputError, match="directory"):
        load_checkpoint(tmp_path)


def test_where_there_is_no_folder_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be written"):
        save_checkpoint(tmp_path / "gone" / "c.pt", trainer().checkpoint())
