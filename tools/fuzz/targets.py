"""What is fuzzed: seeds to begin with, and a function that may raise expected errors only."""

import io
import json
import random
import tarfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.camera.picture import PictureError, decode_picture
from edge.commands.watch.devices import Devices
from edge.config import load
from edge.config.check import parse_toml
from edge.config.source import parse_source
from edge.config.text import default_text
from edge.download.archive import ArchiveError, extract_member
from edge.errors import EdgeError
from edge.masking import mask, mask_url, stream_name
from edge.models.manifest import load_manifest, merge
from edge.mqtt.session import other_run
from edge.tflite.file import load as load_tflite
from edge.tflite.notes import read_notes
from tools.fuzz.mutate import mutated, mutated_text

__all__ = ["TARGETS", "Target"]

CORPUS = Path(__file__).parent / "corpus"
MAX_UNPACKED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """One reader of foreign input.

    Attributes:
        name: of the target, and of its folder in the corpus.
        seeds: returns inputs to mutate, besides those of the corpus.
        read: reads an input; gets a folder to write files into.
        expected: the errors that it may raise.
        is_text: whether inputs are mutated as text.
    """

    name: str
    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[bytes, Path], object]
    expected: tuple[type[Exception], ...] = (EdgeError,)
    is_text: bool = False

    def inputs(self) -> list[bytes]:
        """Return the inputs to begin with: those that once broke something, then the seeds."""
        kept = sorted((CORPUS / self.name).glob("*")) if (CORPUS / self.name).is_dir() else []
        return [*(path.read_bytes() for path in kept), *self.seeds()]

    def mutant(self, rng: random.Random, inputs: Sequence[bytes]) -> bytes:
        """Return a mutation of one of the inputs."""
        chosen = rng.choice(inputs)
        if not self.is_text:
            return mutated(chosen, rng)
        text = mutated_text(chosen.decode("utf-8", "surrogateescape"), rng)
        return text.encode("utf-8", "surrogatepass")


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _picture(suffix: str) -> bytes:
    image = np.random.default_rng(3).integers(0, 256, (24, 40, 3), np.uint8)
    return bytes(cv2.imencode(suffix, image)[1])


def _status(state: str = "online") -> bytes:
    fields = {"v": 1, "device": "hall", "run": "k3f9", "time": "2026-01-31T12:00:00.123Z", "state": state, "reason": ""}
    return json.dumps({**fields, "since": "2026-01-31T12:00:00.123Z"}).encode()


def _pose() -> bytes:
    person = {"id": 3, "score": 0.8, "box": [0.1, 0.1, 0.4, 0.9], "keypoints": [[0.3, 0.2, 0.9]] * 17}
    fields = {"v": 1, "device": "hall", "run": "k3f9", "camera": "front", "seq": 7, "time": "2026-01-31T12:00:00.123Z"}
    return json.dumps({**fields, "age_ms": 41.5, "size": [640, 360], "model": "m", "poses": [person]}).encode()


def _read_archive(content: bytes, folder: Path) -> None:
    (folder / "a.tar.gz").write_bytes(content)
    target = folder / "a.new"
    target.unlink(missing_ok=True)
    extract_member(folder / "a.tar.gz", "1.tflite", target, max_bytes=MAX_UNPACKED_BYTES)
    if target.stat().st_size > MAX_UNPACKED_BYTES:
        raise AssertionError(f"{target.stat().st_size} bytes were written")


def _read_config(content: bytes, folder: Path) -> None:
    (folder / "a.toml").write_bytes(content)
    load(folder / "a.toml")


def _read_manifest(content: bytes, _folder: Path) -> None:
    merge(load_manifest(), parse_toml(content.decode("utf-8")), "a mirror")


def _read_notes(content: bytes, folder: Path) -> None:
    model = folder / "m.tflite"
    if not model.exists():
        model.write_bytes(_model())
    (folder / "m.tflite.json").write_bytes(content)
    read_notes(model)


def _read_model(content: bytes, folder: Path) -> None:
    (folder / "m.tflite").write_bytes(content)
    (folder / "m.tflite.json").unlink(missing_ok=True)
    load_tflite(folder / "m.tflite")
    read_notes(folder / "m.tflite")


def _read_status(content: bytes, _folder: Path) -> None:
    found = other_run(content, "ours")
    if found is not None and not (found.isprintable() and len(found) <= 16):
        raise AssertionError(f"a run is called {found!r}")


def _read_message(content: bytes, _folder: Path) -> None:
    devices = Devices("edge-pose")
    for topic in ("status", "people", "health", "pose"):
        devices.take(f"edge-pose/hall/{topic}", content, 100.0)


def _mask(content: bytes, _folder: Path) -> None:
    text = content.decode("utf-8", "replace")
    mask(text)
    mask_url(text)
    stream_name(text)


def _read_source(content: bytes, _folder: Path) -> None:
    parse_source(content.decode("utf-8", "surrogateescape"))


def _model() -> bytes:
    return (Path(__file__).parents[2] / "models" / "starter.tflite").read_bytes()


SOURCES = (
    b"scene",
    b"pi:1",
    b"/dev/video0",
    b"rtsp://me:secret@cam:554/1?x=2#y",
    b"http://cam/snap.jpg",
    b"a.mp4",
    b"~/a",
)
NOTES = (
    b'{"format":1,"kind":"heads","heads":["center","heatmap","regression","offset"],"quantization":"int8",\
"affine":{"center":{"gain":[1.0],"shift":[0.0]}},"source":{"name":"m","digest":"sha256:'
    + b"0" * 64
    + b'"},"tool":"t"}'
)

TARGETS = (
    Target(
        "archive", lambda: (_archive({"README": b"x" * 99, "1.tflite": b"TFL3" * 99}),), _read_archive, (ArchiveError,)
    ),
    Target("config", lambda: (default_text().replace("\n#", "\n").encode(),), _read_config, is_text=True),
    Target(
        "manifest",
        lambda: ((Path(__file__).parents[2] / "models" / "models.toml").read_bytes(),),
        _read_manifest,
        (EdgeError, tomllib.TOMLDecodeError, UnicodeDecodeError, ValueError),
        is_text=True,
    ),
    Target("notes", lambda: (NOTES,), _read_notes),
    Target("model", lambda: (_model(),), _read_model),
    Target(
        "picture",
        lambda: tuple(map(_picture, (".png", ".jpg", ".webp", ".bmp"))),
        lambda content, _: decode_picture(content),
        (PictureError,),
    ),
    Target("status", lambda: (_status(), _status("offline")), _read_status, ()),
    Target("message", lambda: (_status(), _pose()), _read_message, ()),
    Target("mask", lambda: SOURCES, _mask, (), is_text=True),
    Target("source", lambda: SOURCES, _read_source, is_text=True),
)
"""In the order in which they are run."""
