"""Task of one process of `edge-pose bench`."""

from msgspec import Struct

__all__ = ["Job"]


class Job(Struct, kw_only=True, frozen=True):
    """One measurement.

    Attributes:
        task: a key of `task.TASKS`.
        video: file to read; for `render` the file to write.
        model: model file.
        input_size: (width, height) for a model of dynamic size; None for a fixed one.
        threads: of inference.
        seconds: how long a loop without a video runs.
        frames: number of frames; the video is repeated at its end.
        folder: for temporary files.
    """

    task: str
    video: str = ""
    model: str = ""
    input_size: tuple[int, int] | None = None
    threads: int = 1
    seconds: float = 2.0
    frames: int = 175
    folder: str = ""
