"""What one process of `edge-pose bench` is asked to do."""

from msgspec import Struct

__all__ = ["Job"]


class Job(Struct, kw_only=True, frozen=True):
    """What to measure.

    Attributes:
        task: one of `bench_task.TASKS`.
        video: file to read; the one to write for `render`.
        model: model file.
        input_size: (width, height) for a model of dynamic size; None for a fixed one.
        threads: of inference.
        seconds: how long a loop without a video runs.
        frames: of the video; it begins again at its end.
        folder: for files that are of no use later.
    """

    task: str
    video: str = ""
    model: str = ""
    input_size: tuple[int, int] | None = None
    threads: int = 1
    seconds: float = 2.0
    frames: int = 175
    folder: str = ""
