"""Reads one picture: its header first, then its pixels.

A header of a few bytes may promise gigabytes, so its size is looked at before OpenCV decodes anything.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge.camera.opencv import MAX_SIDE_PX
from edge.frame import Image
from edge.host.files import read_small

__all__ = ["PictureError", "decode_picture", "header_size", "read_picture"]

MAX_FILE_BYTES = 256 * 2**20
PNG_MAGIC = b"\x89PNG"
NO_PICTURE = "cannot be read as a picture"
PNM = re.compile(rb"P[1-7](?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})")
BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
"""JPEG markers without a length: TEM, restarts, start of image."""
NO_FRAME_MARKERS = frozenset({0xC4, 0xC8, 0xCC})
"""Of the JPEG markers 0xC0 to 0xCF those that start no frame: Huffman tables, reserved, arithmetic conditioning."""
WIDTH_TAG, HEIGHT_TAG, ORIENTATION_TAG = 256, 257, 274


class PictureError(ValueError):
    """A picture cannot be read; the text says why."""


def read_picture(file: Path) -> Image:
    """Return a picture file as BGR uint8 (H, W, 3), turned by its EXIF data.

    Raises:
        PictureError: it cannot be opened, is no picture, truncated, or too large.
    """
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise PictureError(f"is larger than {MAX_FILE_BYTES >> 20} MiB")
        data = read_small(file, MAX_FILE_BYTES)
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror}") from None
    if data[4:8] == b"ftyp" and data[8:12] != b"avif":
        return _read_heic(file, data)
    return decode_picture(data)


def decode_picture(data: bytes) -> Image:
    """Return an encoded picture as BGR uint8 (H, W, 3), turned by its EXIF data.

    Raises:
        PictureError: it is no picture, truncated, or too large.
    """
    _check_size(data)
    if not _is_whole(data):
        raise PictureError(NO_PICTURE)
    if data.startswith(PNG_MAGIC):
        data = data[: _png_end(data)]  # OpenCV reads on behind it
    # OpenCV before 4.13 does not turn WebP.
    turns_here = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    flags = cv2.IMREAD_COLOR | (cv2.IMREAD_IGNORE_ORIENTATION if turns_here else 0)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None:
        raise PictureError(NO_PICTURE)
    image = np.asarray(picture, np.uint8)
    return _turned(image, _webp_orientation(data)) if turns_here else image


def header_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) as the header of a picture tells it, None for an unknown format."""
    try:
        return _header_size(data)
    except (struct.error, ValueError):
        return None  # truncated


def _check_size(data: bytes) -> None:
    size = header_size(data)
    if size is not None and max(size) > MAX_SIDE_PX:
        raise PictureError(f"is {size[0]}x{size[1]} pixels: more than {MAX_SIDE_PX} a side")


def _header_size(data: bytes) -> tuple[int, int] | None:
    head = data[:12]
    if head.startswith(b"\x89PNG"):
        return struct.unpack_from(">II", data, 16)
    if head.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    if head.startswith(b"BM"):
        return _bmp_size(data)
    if head.startswith(b"GIF8"):
        return struct.unpack_from("<HH", data, 6)
    if head.startswith(b"RIFF") and head[8:] == b"WEBP":
        return _webp_size(data)
    if head[:4] in (b"II*\0", b"MM\0*"):
        tags = _tiff_tags(data)
        return (tags[WIDTH_TAG], tags[HEIGHT_TAG]) if {WIDTH_TAG, HEIGHT_TAG} <= tags.keys() else None
    if head[4:8] == b"ftyp":
        sizes = [struct.unpack_from(">II", data, at + 8) for at in _found(data, b"ispe")]
        return max(sizes, default=None)
    if head[4:8] == b"jP  ":
        height, width = struct.unpack_from(">II", data, data.index(b"ihdr") + 4)
        return width, height
    match = PNM.match(data[:4096])
    return (int(match[1]), int(match[2])) if match else None


def _found(data: bytes, word: bytes) -> Iterator[int]:
    """Yield where a word begins, in a HEIC's first 64 KiB."""
    return (match.start() for match in re.finditer(re.escape(word), data[:65536]))


def _bmp_size(data: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", data, 14)[0] == 12:  # the header of OS/2
        return struct.unpack_from("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    if len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return (width & 0x3FFF, height & 0x3FFF) if kind == b"VP8 " else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    for marker, at in _jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in NO_FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
    return None


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (marker, offset of its length) up to the start of scan, which is 0xDA.

    A segment is 0xFF, as often as the writer likes, a marker, and a length of two bytes that counts itself
    (ITU T.81, B.1.1.2 and B.1.1.4).
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        while at < len(data) and data[at] == 0xFF:
            at += 1
        marker, at = data[at : at + 1], at + 1
        if not marker:
            return
        if marker[0] in BARE_MARKERS:
            continue
        yield marker[0], at
        if marker[0] == 0xDA:
            return
        at += max(int.from_bytes(data[at : at + 2]), 2)


def _is_whole(data: bytes) -> bool:
    """Return whether a JPEG or PNG is complete; data may follow its end.

    Decoders fill the missing part of a truncated one with grey.
    """
    if data.startswith(PNG_MAGIC):
        return _png_end(data) > 0
    if data.startswith(b"\xff\xd8"):
        # Behind the segments: one of them may hold a thumbnail, with an end of its own.
        scan = next((at for marker, at in _jpeg_segments(data) if marker == 0xDA), len(data))
        return data.find(b"\xff\xd9", scan) > 0
    return len(data) > 0


def _png_end(data: bytes) -> int:
    """Return where a PNG ends, 0 unless its chunks follow one another to there, those that matter with their checksum.

    OpenCV makes room for as many bytes as a chunk says that it has, up to 4 GB, and reads on after a bad header.
    """
    at, has_pixels = 8, False
    while at + 12 <= len(data):
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            return 0
        is_critical = kind[0] & 0x20 == 0  # a capital letter (PNG, 5.4)
        if is_critical and zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return 0
        if kind == b"IEND":
            return end if has_pixels else 0
        at, has_pixels = end, has_pixels or kind == b"IDAT"
    return 0


def _tiff_tags(data: bytes) -> dict[int, int]:
    """Return the whole numbers of a TIFF's first directory by tag; EXIF data is one, too."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    tags: dict[int, int] = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if kind in (3, 4):  # SHORT, LONG
            (tags[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, entry + 8)
    return tags


def _webp_orientation(data: bytes) -> int:
    """Return the EXIF orientation of a WebP picture, 1 to 8; 1 is upright."""
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"EXIF":
            try:
                return _tiff_tags(data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")).get(ORIENTATION_TAG, 1)
            except struct.error:
                return 1
        at += 8 + length + length % 2
    return 1


def _turned(image: Image, orientation: int) -> Image:
    """Return a picture (H, W, 3) that is stored with an EXIF orientation, upright."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def _read_heic(file: Path, data: bytes) -> Image:
    """Return a HEIC picture, which only FFmpeg decodes, from OpenCV 4.13 on."""
    _check_size(data)
    capture = cv2.VideoCapture(str(file.absolute()), cv2.CAP_FFMPEG)
    try:
        ok, picture = capture.read()
    finally:
        capture.release()
    if not ok:
        raise PictureError(f"is HEIC, which OpenCV {cv2.__version__} cannot read: convert it to JPEG")
    return np.asarray(picture, np.uint8)
