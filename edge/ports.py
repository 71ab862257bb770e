"""The ports: what a camera, an engine and a sink must do.

Each driver implements one of them, and only drivers import a vendor's library.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from edge.frame import Frame
from edge.poses.head_maps import HeadsSpec
from edge.poses.pose import Pose

__all__ = ["BlockingSink", "Camera", "Engine", "ModelSpec", "NonBlockingSink", "PoseFrame", "Sink"]


class Camera(Protocol):
    """A source of frames; one thread opens, reads and closes it.

    Attributes:
        name: for messages, without secrets.
        live: True for a source that may come back after a failure (stream, camera): it is reopened without a limit.
            False for files and the scene: they end, and an error in them ends the run.
    """

    name: str
    live: bool

    def open(self) -> None:
        """Open, or open again. Raises CameraLostError (live) or InputError."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames after rotation; known once it is open."""
        ...

    def read(self) -> Frame | None:
        """Wait for the next frame; None at the end.

        `Frame.index` continues after a reopen.

        Raises:
            CameraLostError: a live source failed.
        """
        ...

    def interrupt(self) -> None:
        """End a wait in `read`, which then returns None until the next `open`.

        The only method for other threads.
        """
        ...

    def is_back(self) -> bool:
        """Return whether a lost camera has reappeared since `open`.

        The next try then need not wait. Polled several times a second, so it must be cheap; False if unknown.
        """
        ...

    def close(self) -> None:
        """Release the device or file; harmless if it is not open."""
        ...


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A loaded model: name, kind, input and accelerator.

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
    """A loaded model; one thread runs it.

    Attributes:
        spec: as it ran last.
        level: index in `choices` of the input's size to take from the next `size_for` on.
    """

    spec: ModelSpec
    level: int

    @property
    def choices(self) -> tuple[tuple[int, int], ...]:
        """Sizes (width, height) that the input may have for the current images, largest first; one if it is fixed."""
        ...

    def size_for(self, image_size: tuple[int, int]) -> ModelSpec:
        """Return the model as it is to run on images of `image_size` (width, height).

        Called for every frame, on the thread that calls `run`: it returns the same object while nothing changes.
        """
        ...

    def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Run inference on one input (1, H, W, 3) of `spec.input_dtype`.

        The outputs are valid until the next call.

        Raises:
            EngineLostError: nothing can infer at the moment; the next call may.
        """
        ...

    def retire(self) -> None:
        """Recover no lost accelerator from now on: the run ends. Harmless from any thread."""
        ...

    def close(self) -> None:
        """Release the model; `run` must not be called after it."""
        ...


@dataclass(frozen=True, slots=True)
class PoseFrame:
    """A frame and the people found in it, as every sink gets it."""

    frame: Frame
    poses: tuple[Pose, ...]
    inference_ms: float


class _AnySink(Protocol):
    """The common part of both kinds of sinks.

    Attributes:
        name: for messages (`mqtt`, `jsonl`).
        wants_image: True if it reads images; without such a sink their buffers are released early.
    """

    name: str
    wants_image: bool

    def open(self) -> None:
        """Start. Raises UnavailableError if this output cannot work at all."""
        ...

    def write(self, result: PoseFrame) -> None:
        """Take one result; a transient fault is logged once, and never raised.

        Raises:
            UnavailableError: the output is lost for good.
        """
        ...

    def close(self) -> None:
        """Flush and release within a second."""
        ...


class BlockingSink(_AnySink, Protocol):
    """A sink whose `write` may block; it is called on its own thread.

    Attributes:
        lossless: True if `--no-pace` has to wait for it instead of dropping.
    """

    blocks: Literal[True]
    lossless: bool


class NonBlockingSink(_AnySink, Protocol):
    """A sink that has a thread; `write` leaves a result for it and returns at once."""

    blocks: Literal[False]

    @property
    def dropped(self) -> int:
        """Results that were written and then dropped."""
        ...


Sink = BlockingSink | NonBlockingSink
"""An output for results."""
