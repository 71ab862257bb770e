"""Converts libcamera's pixel formats to RGB, by OpenCV.

libcamera names formats after DRM's fourcc codes, which read a little-endian word from its high end: "RGB888" lies in
memory as B, G, R, and "BGR888" as R, G, B.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.frame import Image

__all__ = ["FORMATS", "Layout", "RgbReader"]

PACKED = {
    "BGR888": (3, None),  # R, G, B in memory: no conversion
    "RGB888": (3, cv2.COLOR_BGR2RGB),
    "XBGR8888": (4, cv2.COLOR_RGBA2RGB),
    "XRGB8888": (4, cv2.COLOR_BGRA2RGB),
    "YUYV": (2, cv2.COLOR_YUV2RGB_YUYV),
    "YVYU": (2, cv2.COLOR_YUV2RGB_YVYU),
    "UYVY": (2, cv2.COLOR_YUV2RGB_UYVY),
}
"""One plane: bytes per pixel, and OpenCV's name for the conversion."""
SEMI_PLANAR = {"NV12": cv2.COLOR_YUV2RGB_NV12, "NV21": cv2.COLOR_YUV2RGB_NV21}
"""A plane of Y, then one of interleaved chroma at half the size, with rows as long."""
PLANAR = {"YUV420": cv2.COLOR_YUV2RGB_I420, "YVU420": cv2.COLOR_YUV2RGB_YV12}
"""A plane of Y, then two of chroma at half the size, with rows half as long."""
FORMATS = frozenset({*PACKED, *SEMI_PLANAR, *PLANAR})
"""Readable formats. The conversions from YUV are those of BT.601, limited range."""

Buffer = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Layout:
    """Memory layout of a picture in a buffer.

    Attributes:
        format: its name in libcamera.
        size: (width, height) in pixels.
        stride_bytes: distance of two rows of the first plane; rows may be padded.
    """

    format: str
    size: tuple[int, int]
    stride_bytes: int


class RgbReader:
    """Converts pictures of one layout to RGB images, without allocations.

    Args:
        layout: of the buffers to come.

    Raises:
        ValueError: the format is unknown, or the layout contradicts itself.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._read = self._reader()
        width, height = layout.size
        chroma_height = 0 if layout.format in PACKED else height // 2
        self.size_bytes = layout.stride_bytes * (height + chroma_height)
        if min(width, height) <= 0 or layout.stride_bytes < width * _bytes_per_pixel(layout.format):
            raise ValueError(f"{layout.format} {width}x{height} with rows of {layout.stride_bytes} bytes")
        if (chroma_height and (width % 2 or height % 2)) or (layout.format in PLANAR and layout.stride_bytes % 2):
            raise ValueError(f"{layout.format} {width}x{height}: its sides are not even")
        self._packed = np.empty((height + chroma_height, width), np.uint8) if layout.format in PLANAR else None

    def read_into(self, buffer: Buffer, out: Image) -> None:
        """Convert a buffer (n,) of at least `size_bytes` into `out` (H, W, 3), RGB.

        Raises:
            ValueError: the buffer is too short.
        """
        if buffer.size < self.size_bytes:
            raise ValueError(f"a buffer of {buffer.size} bytes where {self.size_bytes} are needed")
        self._read(buffer[: self.size_bytes].reshape(-1, self._layout.stride_bytes), out)

    def _reader(self) -> Callable[[Buffer, Image], None]:
        name = self._layout.format
        if name in PACKED:
            return self._read_packed
        if name in SEMI_PLANAR:
            return self._read_semi_planar
        if name in PLANAR:
            return self._read_planar
        raise ValueError(f"{name} cannot be read, only {', '.join(sorted(FORMATS))}")

    def _read_packed(self, rows: Buffer, out: Image) -> None:
        depth, code = PACKED[self._layout.format]
        width, height = self._layout.size
        pixels = rows[:, : width * depth].reshape(height, width, depth)
        if code is None:
            out[:] = pixels
        else:
            cv2.cvtColor(pixels, code, dst=out)

    def _read_semi_planar(self, rows: Buffer, out: Image) -> None:
        width, height = self._layout.size
        chroma = rows[height:, :width].reshape(height // 2, width // 2, 2)
        cv2.cvtColorTwoPlane(rows[:height, :width], chroma, SEMI_PLANAR[self._layout.format], dst=out)

    def _read_planar(self, rows: Buffer, out: Image) -> None:
        if rows.shape[1] != self._layout.size[0]:
            rows = self._without_padding(rows)
        cv2.cvtColor(rows, PLANAR[self._layout.format], dst=out)

    def _without_padding(self, rows: Buffer) -> Buffer:
        """Return the planes without padding, two rows of chroma in each row, as OpenCV needs."""
        assert self._packed is not None
        width, height = self._layout.size
        chroma = rows[height:].reshape(height, -1)  # (H/2 rows of U, then H/2 of V; half a stride)
        self._packed[:height] = rows[:height, :width]
        self._packed[height:].reshape(height, width // 2)[:] = chroma[:, : width // 2]
        return self._packed


def _bytes_per_pixel(name: str) -> int:
    """Return the bytes per pixel in the first plane."""
    return PACKED[name][0] if name in PACKED else 1
