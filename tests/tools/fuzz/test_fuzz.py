"""The fuzzers find what is wrong, and find nothing in what the product reads."""

import random
import signal
import time
from pathlib import Path

import pytest

from tools.fuzz import __main__ as fuzzing
from tools.fuzz.__main__ import FoundError, fuzz
from tools.fuzz.mutate import mutated, mutated_text
from tools.fuzz.targets import TARGETS, Target


@pytest.fixture(autouse=True)
def alarm() -> object:
    before = signal.signal(signal.SIGALRM, fuzzing._too_slow)
    yield
    signal.signal(signal.SIGALRM, before)


def made_up(read: object, *expected: type[Exception]) -> Target:
    return Target("made-up", lambda: (b"seed",), read, expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_nothing_is_found_in_the_corpus_and_in_the_first_mutations(target: Target, tmp_path: Path) -> None:
    assert fuzz(target, seconds=0.7, seed=1, keep=tmp_path) > len(target.inputs())
    assert list(tmp_path.iterdir()) == []


def test_an_unexpected_error_is_found_and_its_input_kept(tmp_path: Path) -> None:
    def read(content: bytes, _folder: Path) -> None:
        if content != b"seed":
            raise KeyError("no such head")

    with pytest.raises(FoundError, match=r"^made-up: input 1 raised KeyError: 'no such head': .*fuzz-made-up\.bin$"):
        fuzz(made_up(read), seconds=5, seed=1, keep=tmp_path)
    assert (tmp_path / "fuzz-made-up.bin").read_bytes() != b"seed"
    assert fuzz(made_up(read, KeyError), seconds=0.01, seed=1, keep=tmp_path) > 1


def test_a_hang_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "MAX_INPUT_S", 1)
    with pytest.raises(FoundError, match="took more than 1 s"):
        fuzz(made_up(lambda *_: time.sleep(60), Exception), seconds=0, seed=1, keep=tmp_path)


def test_memory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([10, 400_000_010])
    monkeypatch.setattr(fuzzing, "_peak_bytes", lambda: next(sizes))
    with pytest.raises(FoundError, match="took 400 MB"):
        fuzz(made_up(lambda *_: None), seconds=0, seed=1, keep=tmp_path)


def seeded(number: int) -> random.Random:
    return random.Random(number)  # noqa: S311 - no secret


def test_mutations_are_the_same_for_the_same_seed_and_change_something() -> None:
    content, text = bytes(range(200)), "source = 'scene' # a camera"
    for seed in range(50):
        assert mutated(content, seeded(seed)) == mutated(content, seeded(seed))
        assert mutated_text(text, seeded(seed)) == mutated_text(text, seeded(seed))
    assert len({mutated(content, seeded(seed)) for seed in range(50)}) > 45
    assert mutated(b"", seeded(3))
