"""What a video node says of itself, and whether somebody streams from it."""

from dataclasses import dataclass
from pathlib import Path

from edge.camera.v4l2.device import device, is_busy, query

__all__ = ["VideoNode", "ask_node"]


@dataclass(frozen=True, slots=True)
class VideoNode:
    """One node, such as /dev/video0.

    Attributes:
        driver: the kernel's, such as `uvcvideo`.
        card: the device's own name.
        captures: whether pictures come out of this node.
        is_busy: whether another program streams from it.
    """

    driver: str
    card: str
    captures: bool
    is_busy: bool = False


def ask_node(path: Path) -> VideoNode:
    """Ask a node, which disturbs nobody who reads from it. Raises OSError."""
    with device(str(path)) as call:
        said = query(call)
        return VideoNode(said.driver, said.card, said.captures, said.captures and is_busy(call, said.buffer_type))
