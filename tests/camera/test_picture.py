"""Pictures, by their headers and pixels: what OpenCV would take gigabytes for, or read wrongly."""

import logging
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera.images import ImagesCamera
from edge.camera.picture import PictureError, decode_picture, header_size, read_picture
from edge.errors import InputError
from edge.frame import Image
from pages import PROJECT
from videos import number_of, numbered_image, write_pictures

SIZE = (70, 46)
ENCODERS = [".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm", ".jp2"]


def encoded(suffix: str, image: Image | None = None, *flags: int) -> bytes:
    picture = numbered_image(5, *SIZE) if image is None else image
    return cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), flags)[1].tobytes()


def jpeg_parts() -> tuple[bytes, bytes]:
    """A JPEG up to its first segment, and from there on."""
    data = encoded(".jpg")
    return data[:2], data[2:]


def png_of(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"IEND"


def jpeg_of(width: int, height: int) -> bytes:
    data = bytearray(encoded(".jpg"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_of(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + bytes(4) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size


def tiff_of(width: int, height: int) -> bytes:
    entries = [struct.pack(">HHII", tag, 4, 1, value) for tag, value in ((256, width), (257, height))]
    return b"MM\0*" + struct.pack(">IH", 8, 2) + b"".join(entries) + bytes(4)


def bmp_of(width: int, height: int) -> bytes:
    return b"BM" + bytes(12) + struct.pack("<Iii", 40, width, -height) + bytes(40)


def avif_of(width: int, height: int) -> bytes:
    return b"\0\0\0\x14ftypavif" + bytes(8) + b"ispe" + bytes(4) + struct.pack(">II", width, height)


def heic_of(width: int, height: int) -> bytes:
    return avif_of(width, height).replace(b"avif", b"heic")


def ppm_of(width: int, height: int) -> bytes:
    return b"P6 # made by hand\n%d\n%d 255\n" % (width, height)


BOMBS = {
    ".png": png_of, ".jpg": jpeg_of, ".webp": webp_of, ".tiff": tiff_of, ".bmp": bmp_of, ".ppm": ppm_of,
    ".avif": avif_of,
    ".heic": heic_of,
}  # fmt: skip


@pytest.mark.parametrize("suffix", ENCODERS)
def test_the_size_is_in_the_header(suffix: str) -> None:
    assert header_size(encoded(suffix)) == SIZE


@pytest.mark.parametrize("quality", [50, 101])  # above 100: lossless
def test_both_kinds_of_webp_tell_their_size(quality: int) -> None:
    assert header_size(encoded(".webp", None, cv2.IMWRITE_WEBP_QUALITY, quality)) == SIZE


@pytest.mark.parametrize("suffix", ENCODERS)
def test_any_piece_of_a_header_is_no_crash(suffix: str) -> None:
    data = encoded(suffix)
    for length in range(min(len(data), 300)):
        size = header_size(data[:length])
        assert size is None or size == SIZE or suffix == ".ppm"  # a number may be cut in the middle


@pytest.mark.parametrize("size", [(8193, 16), (16, 8193), (30000, 30000)])
@pytest.mark.parametrize("suffix", BOMBS)
def test_a_picture_is_refused_by_its_header_alone(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    file = tmp_path / f"bomb{suffix}"
    file.write_bytes(BOMBS[suffix](*size))
    with pytest.raises(InputError, match=f"bomb{suffix}: is {size[0]}x{size[1]} pixels: more than 8192 a side"):
        ImagesCamera(file).open()


def test_in_a_folder_a_bomb_is_skipped_with_its_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pictures(tmp_path, 2)
    (tmp_path / "000.png").write_bytes(png_of(30000, 30000))
    camera = ImagesCamera(tmp_path, paced=False)
    camera.open()
    frame = camera.read()
    assert frame is not None
    assert number_of(frame.image) == 1
    assert camera.read() is None
    assert "000.png: is 30000x30000 pixels" in caplog.text


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.png"
    with file.open("wb") as sparse:
        sparse.truncate(2**30)
    with pytest.raises(PictureError, match="larger than 256 MiB"):
        read_picture(file)


def test_the_command_limits_what_opencv_decodes_before_it_is_loaded() -> None:
    script = """
import os, sys
from edge.cli import entry
assert "cv2" not in sys.modules
sys.argv = ["edge-pose", "--version"]
try:
    entry()
finally:
    print(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.stdout.split()[-1] == str(8192 * 8192)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_jpeg_may_have_fill_bytes_before_any_marker(count: int) -> None:
    start, rest = jpeg_parts()
    plain = decode_picture(start + rest)
    markers = [at for at in range(len(rest) - 1) if rest[at] == 0xFF and rest[at + 1] in (0xE0, 0xDB, 0xC0, 0xC4, 0xDA)]
    assert len(markers) >= 5
    for at in markers:
        filled = start + rest[:at] + b"\xff" * count + rest[at:]
        assert (decode_picture(filled) == plain).all()


def test_a_jpeg_with_fill_bytes_that_was_cut_is_not_whole() -> None:
    start, rest = jpeg_parts()
    with pytest.raises(PictureError):
        decode_picture(start + b"\xff" * 7 + rest[: len(rest) // 2])


def exif(orientation: int, order: str = ">") -> bytes:
    head = b"MM\0*" if order == ">" else b"II*\0"
    return head + struct.pack(f"{order}IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def webp_with(data: bytes) -> bytes:
    """A WebP picture with EXIF data."""
    plain = encoded(".webp", None, cv2.IMWRITE_WEBP_QUALITY, 101)
    size = (SIZE[0] - 1).to_bytes(3, "little") + (SIZE[1] - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + size + plain[12:]
    body += b"EXIF" + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(("order", "prefix"), [("<", b""), (">", b""), ("<", b"Exif\0\0")])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_webp_is_turned_as_a_jpeg_is(orientation: int, order: str, prefix: bytes) -> None:
    tiff = exif(orientation, order)
    jpeg = encoded(".jpg", None, cv2.IMWRITE_JPEG_QUALITY, 100)
    segment = b"Exif\0\0" + tiff
    jpeg = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
    want, got = decode_picture(jpeg), decode_picture(webp_with(prefix + tiff))
    assert got.shape == want.shape
    assert np.abs(got.astype(int) - want).mean() < 8  # JPEG smears the colours


@pytest.mark.parametrize("data", [b"", b"MM", b"II*\0\xff\xff\xff\xff", exif(9), exif(0)])
def test_exif_data_that_makes_no_sense_turns_nothing(data: bytes) -> None:
    assert decode_picture(webp_with(data)).shape == (SIZE[1], SIZE[0], 3)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPG"])
def test_a_folder_knows_the_other_suffixes_of_jpeg(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(encoded(".jpg"))
    camera = ImagesCamera(tmp_path, paced=False)
    camera.open()
    frame = camera.read()
    assert frame is not None
    assert frame.size == SIZE


def test_a_folder_names_once_what_it_leaves_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pictures(tmp_path, 2)
    for name in ("a.dng", "b.GIF", "c.gif", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    camera = ImagesCamera(tmp_path, paced=False)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            camera.open()
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: 3 pictures are left out (.dng, .gif): convert them to JPEG"
    ]


def test_a_heic_that_cannot_be_read_is_named_as_such(tmp_path: Path) -> None:
    file = tmp_path / "phone.heic"
    file.write_bytes(heic_of(640, 480))
    with pytest.raises(InputError, match=r"phone\.heic: is HEIC, which OpenCV .* cannot read: convert it to JPEG"):
        ImagesCamera(file).open()


@pytest.mark.parametrize("kind", [b"IHDR", b"tEXt", b"IDAT", b"IEND"])
def test_a_png_whose_chunk_says_that_it_has_gigabytes_is_refused(kind: bytes) -> None:
    image = np.random.default_rng(1).integers(0, 256, (9, 12, 3), np.uint8)
    png = bytes(cv2.imencode(".png", image)[1])
    assert decode_picture(png).shape == (9, 12, 3)
    assert decode_picture(png + b"behind its end").shape == (9, 12, 3)
    if kind == b"tEXt":
        png = png[:33] + b"\0\0\0\0tEXt\0\0\0\0" + png[33:]
    at = png.index(kind) - 4
    with pytest.raises(PictureError, match="cannot be read as a picture"):
        decode_picture(png[:at] + b"\x7f\0\0\0" + png[at + 4 :])
