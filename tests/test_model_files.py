"""Model files: found in the mirror, then in the cache, never with a wrong digest."""

import hashlib
import logging
import os
from pathlib import Path

import pytest

from edge.errors import ConfigError, InputError, UnavailableError
from edge.manifest import Manifest, load_manifest
from edge.model_files import Places, is_path, model_row, model_rows, places, resolve, resolve_file

CONTENT = b"TFL3 a small model"
OTHER = b"TFL3 another model"
MIRROR = os.environ.get("EDGE_POSE_MODEL_MIRROR", "")


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 # git's own choice


@pytest.fixture
def where(tmp_path: Path) -> Places:
    """A mirror whose manifest has `own` (sha256, the default) and `blob` (git blob id), and no file yet."""
    mirror, cache = tmp_path / "mirror", tmp_path / "cache"
    mirror.mkdir()
    cache.mkdir()
    (mirror / "models.toml").write_text(f"""
default = "own"
[own]
file = "own.tflite"
sha256 = "{hashlib.sha256(CONTENT).hexdigest()}"
kind = "multipose"
licence = "MIT"
[blob]
file = "blob.tflite"
git_blob = "{git_blob(CONTENT)}"
kind = "singlepose"
licence = "MIT"
""")
    return Places(mirror, cache)


@pytest.fixture
def manifest(where: Places) -> Manifest:
    return load_manifest(where.mirror)


def put(folder: Path | None, name: str, content: bytes = CONTENT) -> Path:
    assert folder is not None
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", [None, "", "own"])
def test_a_model_is_taken_from_the_mirror_and_the_default_needs_no_name(
    name: str | None, manifest: Manifest, where: Places
) -> None:
    path = put(where.mirror, "own.tflite")
    model = resolve(name, manifest, where)
    assert (model.name, model.path, model.source) == ("own", path, "mirror")
    assert model.entry is not None
    assert model.entry.kind == "multipose"


def test_a_git_blob_id_is_as_good_as_a_sha256(manifest: Manifest, where: Places) -> None:
    path = put(where.mirror, "blob.tflite")
    assert resolve("blob", manifest, where).path == path


def test_the_mirror_comes_before_the_cache(manifest: Manifest, where: Places) -> None:
    put(where.cache, "own.tflite")
    path = put(where.mirror, "own.tflite")
    assert resolve("own", manifest, where).path == path


def test_what_the_mirror_lacks_comes_from_the_cache(manifest: Manifest, where: Places) -> None:
    path = put(where.cache, "own.tflite")
    model = resolve("own", manifest, where)
    assert (model.path, model.source) == (path, "cache")


def test_a_cached_file_with_a_wrong_digest_is_set_aside(
    manifest: Manifest, where: Places, caplog: pytest.LogCaptureFixture
) -> None:
    path = put(where.cache, "own.tflite", OTHER)
    with pytest.raises(UnavailableError, match=r"cache .*: wrong digest"):
        resolve("own", manifest, where)
    assert not path.exists()
    assert path.with_name("own.tflite.bad").read_bytes() == OTHER
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_mirrored_file_with_a_wrong_digest_is_left_alone_and_the_cache_is_used(
    manifest: Manifest, where: Places, caplog: pytest.LogCaptureFixture
) -> None:
    wrong, right = put(where.mirror, "own.tflite", OTHER), put(where.cache, "own.tflite")
    assert resolve("own", manifest, where).path == right
    assert wrong.read_bytes() == OTHER
    assert f"{wrong}: is not the file of model 'own' (wrong digest): not used" in caplog.text


def test_a_truncated_file_is_never_loaded_by_name(manifest: Manifest, where: Places) -> None:
    put(where.mirror, "blob.tflite", CONTENT[:-1])
    with pytest.raises(UnavailableError, match=r"mirror .*: wrong digest"):
        resolve("blob", manifest, where)


def test_a_model_that_is_nowhere_is_one_line_that_says_what_to_do(manifest: Manifest, where: Places) -> None:
    with pytest.raises(UnavailableError) as caught:
        resolve("own", manifest, where)
    assert caught.value.exit_code == 69
    line = str(caught.value)
    assert f"(mirror {where.mirror}: missing, cache {where.cache}: missing)" in line
    assert "put own.tflite into one of these folders" in line
    assert "--model FILE" in line
    assert "\n" not in line


def test_a_folder_in_place_of_the_file_is_not_followed(manifest: Manifest, where: Places) -> None:
    (where.cache / "own.tflite").mkdir()
    with pytest.raises(UnavailableError, match=r"cache .*: unreadable"):
        resolve("own", manifest, where)


def test_a_device_in_place_of_the_file_is_not_read(manifest: Manifest, where: Places) -> None:
    (where.cache / "own.tflite").symlink_to(os.devnull)  # a pipe would wait for ever
    with pytest.raises(UnavailableError, match=r"cache .*: unreadable"):
        resolve("own", manifest, where)


def test_a_manifest_that_points_outside_the_mirror_is_refused_before_any_file_is_touched(
    where: Places,
) -> None:
    assert where.mirror is not None
    outside = put(where.mirror.parent, "own.tflite")
    manifest_path = where.mirror / "models.toml"
    manifest_path.write_text(manifest_path.read_text().replace('"own.tflite"', '"../own.tflite"'))
    with pytest.raises(ConfigError, match="plain file name"):
        load_manifest(where.mirror)
    assert outside.read_bytes() == CONTENT


def test_rows_tell_the_state_of_every_model_and_change_nothing(manifest: Manifest, where: Places) -> None:
    wrong, right = put(where.cache, "own.tflite", OTHER), put(where.mirror, "blob.tflite")
    rows = {row.entry.name: row for row in model_rows(manifest, where)}
    assert list(rows) == list(manifest.entries)
    own, blob, absent = rows["own"], rows["blob"], rows["movenet-multipose-lightning-f16"]
    assert (own.state, own.path, own.size_bytes, own.is_default) == ("wrong digest", wrong, len(OTHER), True)
    assert (blob.state, blob.path, blob.source, blob.is_default) == ("ok", right, "mirror", False)
    assert (absent.state, absent.path, absent.source, absent.size_bytes) == ("missing", None, None, None)
    assert wrong.exists()


def test_a_good_copy_in_the_cache_outweighs_a_wrong_one_in_the_mirror(manifest: Manifest, where: Places) -> None:
    put(where.mirror, "own.tflite", OTHER)
    right = put(where.cache, "own.tflite")
    row = model_row(None, manifest, where)
    assert (row.state, row.path) == ("ok", right)


def test_of_two_wrong_copies_the_mirrors_is_told(manifest: Manifest, where: Places) -> None:
    wrong = put(where.mirror, "own.tflite", OTHER)
    put(where.cache, "own.tflite", OTHER)
    row = model_row(None, manifest, where)
    assert (row.state, row.path, row.source) == ("wrong digest", wrong, "mirror")


def test_a_row_of_an_unknown_model_is_refused(manifest: Manifest, where: Places) -> None:
    with pytest.raises(UnavailableError, match="did you mean 'own'"):
        model_row("ownn", manifest, where)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("own.tflite", True),
        ("./own", True),
        ("/srv/own.bin", True),
        ("movenet-multipose-lightning-f16", False),
        ("own", False),
    ],
)
def test_a_slash_or_the_suffix_makes_it_a_path(model: str, expected: bool) -> None:
    assert is_path(model) is expected


def test_a_file_by_path_is_named_after_its_stem_and_needs_no_digest(tmp_path: Path) -> None:
    path = put(tmp_path, "hall_v2.tflite", OTHER)
    model = resolve_file(path)
    assert (model.name, model.path, model.source, model.entry) == ("hall_v2", path, "path", None)


def test_a_path_that_is_missing_or_no_file_is_bad_input(tmp_path: Path) -> None:
    cases = {
        tmp_path / "gone.tflite": "no such model file",
        tmp_path: "a folder, not a model file",
        Path(os.devnull): "a device, not a model file",
        put(tmp_path, "file") / "inside.tflite": "cannot read the model file: Not a directory",
    }
    for path, complaint in cases.items():
        with pytest.raises(InputError) as caught:
            resolve_file(path)
        assert str(caught.value) == f"{path}: {complaint}"
        assert caught.value.exit_code == 66


@pytest.mark.parametrize(
    ("environ", "cache"),
    [
        ({"EDGE_POSE_CACHE": "/a", "CACHE_DIRECTORY": "/b", "XDG_CACHE_HOME": "/c", "HOME": "/d"}, "/a"),
        ({"CACHE_DIRECTORY": "/b:/other", "XDG_CACHE_HOME": "/c", "HOME": "/d"}, "/b"),
        ({"XDG_CACHE_HOME": "/c", "HOME": "/d"}, "/c/edge-pose"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/d"}, "/d/.cache/edge-pose"),
        ({"EDGE_POSE_CACHE": "", "HOME": "/d"}, "/d/.cache/edge-pose"),
        ({}, "/var/cache/edge-pose"),
    ],
)
def test_the_cache_is_the_first_that_the_environment_names(environ: dict[str, str], cache: str) -> None:
    assert places(environ) == Places(None, Path(cache))


def test_a_mirror_must_be_a_folder_that_is_there(tmp_path: Path) -> None:
    assert places({"EDGE_POSE_MODEL_MIRROR": str(tmp_path)}).mirror == tmp_path
    with pytest.raises(UnavailableError, match="is not a folder that can be read"):
        places({"EDGE_POSE_MODEL_MIRROR": str(tmp_path / "gone")})
    with pytest.raises(UnavailableError, match="only a folder can be the mirror yet"):
        places({"EDGE_POSE_MODEL_MIRROR": "https://models.example/"})


@pytest.mark.skipif(not MIRROR, reason="EDGE_POSE_MODEL_MIRROR is not set")
def test_the_default_of_the_real_mirror_resolves(tmp_path: Path) -> None:
    where = places({"EDGE_POSE_MODEL_MIRROR": MIRROR, "EDGE_POSE_CACHE": str(tmp_path)})
    model = resolve(None, load_manifest(where.mirror), where)
    assert model.path.parent == where.mirror
    assert model.entry is not None
    assert model.entry.kind == "multipose"
