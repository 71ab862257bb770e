"""The three ports. A driver fits one of them; nothing else in the package knows a vendor's library."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from edge.frame import Frame
from edge.poses.head_maps import HeadsSpec
from edge.poses.pose import Pose

__all__ = ["BlockingSink", "Camera", "Engine", "ModelSpec", "NonBlockingSink", "PoseFrame", "Sink"]


class Camera(Protocol):
    """Where frames come from. One thread opens, reads and closes it.

    Attributes:
        name: how messages name it, without secrets.
        live: True for a source that may come back after a failure (stream, camera): it is reopened for ever.
            False for files and the scene: they end, and an error in them ends the run.
    """

    name: str
    live: bool

    def open(self) -> None:
        """Open, or open again. Raises CameraLostError (live) or InputError."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames to come, after rotation; known once it is open."""
        ...

    def read(self) -> Frame | None:
        """Wait for the next frame; None at the end. Raises CameraLostError when a live source fails.

        `Frame.index` counts on over a reopen.
        """
        ...

    def interrupt(self) -> None:
        """End a wait in `read`, which then returns None until the next `open`. The one call for other threads."""
        ...

    def is_back(self) -> bool:
        """Return whether a lost camera has appeared again since `open`, so that the next try need not wait.

        Cheap, asked several times a second; False wherever that cannot be told.
        """
        ...

    def close(self) -> None:
        """Release the device or file; harmless when it is not open."""
        ...


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a loaded model is and wants.

    Attributes:
        name: name in the manifest, or the file's stem.
        kind: `multipose`, `singlepose` or `heads`.
        input_size: (width, height) in pixels.
        input_dtype: NumPy name: uint8, int8, int32 or float32.
        input_codes: None when pixel values go in as they are, else (256,) of `input_dtype`: what to feed for
            pixel value i (quantized or normalized inputs).
        accelerator: `cpu` or `edgetpu`.
        heads: what the outputs are, for the kind `heads`.
    """

    name: str
    kind: str
    input_size: tuple[int, int]
    input_dtype: str
    input_codes: NDArray[Any] | None = None
    accelerator: str = "cpu"
    heads: HeadsSpec | None = None


class Engine(Protocol):
    """A loaded model. One thread runs it."""

    spec: ModelSpec

    def size_for(self, image_size: tuple[int, int]) -> ModelSpec:
        """Fix the input size for images of `image_size` (width, height); comes before the first `run`.

        A size once fixed stays.
        """
        ...

    def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Infer one input (1, H, W, 3) of `spec.input_dtype`; the outputs are valid until the next call.

        Raises:
            EngineLostError: nothing can infer at the moment; the next call may.
        """
        ...

    def retire(self) -> None:
        """From now on what is lost stays lost: the run ends. Harmless from any thread."""
        ...

    def close(self) -> None:
        """Release the model; `run` must not be called afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class PoseFrame:
    """What the flow hands to every sink: a frame and the people found in it."""

    frame: Frame
    poses: tuple[Pose, ...]
    inference_ms: float


class _AnySink(Protocol):
    """What all sinks have in common.

    Attributes:
        name: how messages name it (`mqtt`, `jsonl`).
        wants_image: True when it looks at images; without such a sink their buffers are let go of early.
    """

    name: str
    wants_image: bool

    def open(self) -> None:
        """Start. Raises UnavailableError when this output cannot work at all."""
        ...

    def write(self, result: PoseFrame) -> None:
        """Take one result. Never raises for a fault that may pass: warns once and goes on.

        Raises:
            UnavailableError: it is gone for good.
        """
        ...

    def close(self) -> None:
        """Flush and release within a second."""
        ...


class BlockingSink(_AnySink, Protocol):
    """A sink whose `write` may block: it is called on a thread of its own.

    Attributes:
        lossless: True when `--no-pace` has to wait for it instead of dropping.
    """

    blocks: Literal[True]
    lossless: bool


class NonBlockingSink(_AnySink, Protocol):
    """A sink with a thread of its own: `write` leaves a result for it and returns at once."""

    blocks: Literal[False]

    @property
    def dropped(self) -> int:
        """Results that were written and went nowhere."""
        ...


Sink = BlockingSink | NonBlockingSink
"""Where results go."""
