"""Queries a V4L2 node: driver, name, capture, in use."""

from dataclasses import dataclass
from pathlib import Path

from edge.camera.v4l2.device import device, is_busy, query

__all__ = ["VideoNode", "query_node"]


@dataclass(frozen=True, slots=True)
class VideoNode:
    """A V4L2 node, such as /dev/video0.

    Attributes:
        driver: kernel driver, such as `uvcvideo`.
        card: name of the device.
        captures: whether it delivers images.
        is_busy: whether another program streams from it.
    """

    driver: str
    card: str
    captures: bool
    is_busy: bool = False


def query_node(path: Path) -> VideoNode:
    """Query a node without disturbing its readers. Raises OSError."""
    with device(str(path)) as call:
        said = query(call)
        return VideoNode(said.driver, said.card, said.captures, said.captures and is_busy(call, said.buffer_type))
