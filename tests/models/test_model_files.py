"""Model files: found in the mirror, then in the cache, never with a wrong digest."""

import hashlib
import logging
import os
from pathlib import Path

import pytest

from edge.errors import ConfigError, InputError, ModelError, UnavailableError
from edge.models.entry import ModelEntry
from edge.models.files import (
    accept_digest,
    expected_digest,
    find,
    is_path,
    model_row,
    model_rows,
    resolve,
    resolve_file,
)
from edge.models.manifest import Manifest, load_manifest
from edge.models.places import Places, places

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


def test_a_cached_file_with_a_wrong_digest_is_not_used(
    manifest: Manifest, where: Places, caplog: pytest.LogCaptureFixture
) -> None:
    put(where.cache, "own.tflite", OTHER)
    with pytest.raises(UnavailableError, match=r"cache .*: wrong digest"):
        resolve("own", manifest, where)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_model_that_is_here_is_not_fetched(manifest: Manifest, where: Places) -> None:
    path = put(where.mirror, "own.tflite")

    def fetch(entry: ModelEntry) -> Path:
        raise AssertionError(entry)

    assert resolve("own", manifest, where, fetch=fetch).path == path


def test_a_model_that_is_not_here_is_fetched_where_it_is_published(manifest: Manifest, where: Places) -> None:
    put(where.cache, "official.tflite", OTHER)
    asked: list[str] = []

    def fetch(entry: ModelEntry) -> Path:
        asked.append(entry.name)
        return put(where.cache, entry.file)

    name = "movenet-singlepose-lightning-int8"
    model = resolve(name, manifest, where, fetch=fetch)
    assert (model.name, model.source, model.path.parent) == (name, "cache", where.cache)
    with pytest.raises(UnavailableError, match=r"put own\.tflite into one of these folders"):
        resolve("own", manifest, where, fetch=fetch)  # it has no address
    assert asked == [name]


def test_a_savedmodel_is_not_run(manifest: Manifest, where: Places) -> None:
    with pytest.raises(ModelError, match="it cannot be run") as caught:
        resolve("movenet-multipose-lightning-savedmodel", manifest, where)
    assert caught.value.exit_code == 78


def test_a_file_without_a_known_digest_is_never_good_until_one_is_accepted(manifest: Manifest, where: Places) -> None:
    entry = manifest.entry("movenet-multipose-lightning-savedmodel")
    path = put(where.cache, entry.file)
    assert (model_row(entry.name, manifest, where).state, find(entry, where)) == ("no digest", None)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    accept_digest(entry, where, f"sha256:{sha256}")
    row = model_row(entry.name, manifest, where)
    assert (row.state, row.digest, find(entry, where)) == ("ok", f"sha256:{sha256}", path)
    put(where.cache, entry.file, OTHER)
    assert model_row(entry.name, manifest, where).state == "wrong digest"


@pytest.mark.parametrize("note", ["", "x", "a1" * 31, "A1" * 32])
def test_a_damaged_note_of_an_accepted_digest_is_as_good_as_none(manifest: Manifest, where: Places, note: str) -> None:
    entry = manifest.entry("movenet-multipose-lightning-savedmodel")
    (where.cache / f"{entry.file}.sha256").write_text(note)
    assert expected_digest(entry, where) == ""


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


def test_of_two_wrong_copies_the_mirrors_is_listed(manifest: Manifest, where: Places) -> None:
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


def test_a_mirror_folder_must_be_there(tmp_path: Path) -> None:
    assert places({"EDGE_POSE_MODEL_MIRROR": str(tmp_path)}).mirror == tmp_path
    with pytest.raises(UnavailableError, match="is not a folder that can be read"):
        places({"EDGE_POSE_MODEL_MIRROR": str(tmp_path / "gone")})


def test_a_mirror_may_be_an_address() -> None:
    where = places({"EDGE_POSE_MODEL_MIRROR": "https://models.example/edge/"})
    assert (where.mirror, where.mirror_url) == (None, "https://models.example/edge")


@pytest.mark.parametrize(
    "url", ["ftp://models.example/", "https://user:geheim@models.example/", "https://m.example/?f=", "http://m:x/"]
)
def test_an_address_that_cannot_be_a_mirror_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(UnavailableError, match="EDGE_POSE_MODEL_MIRROR: ") as caught:
        places({"EDGE_POSE_MODEL_MIRROR": url})
    assert "geheim" not in str(caught.value)


@pytest.mark.skipif(not MIRROR, reason="EDGE_POSE_MODEL_MIRROR is not set")
def test_the_default_of_the_real_mirror_resolves(tmp_path: Path) -> None:
    where = places({"EDGE_POSE_MODEL_MIRROR": MIRROR, "EDGE_POSE_CACHE": str(tmp_path)})
    model = resolve(None, load_manifest(where.mirror), where)
    assert model.path.parent == where.mirror
    assert model.entry is not None
    assert model.entry.kind == "multipose"


# Models that came with the program


def bundled(digest: str = hashlib.sha256(CONTENT).hexdigest()) -> Manifest:
    entry = ModelEntry(name="box", file="box.tflite", kind="heads", licence="MIT", sha256=digest, bundled=True)
    return Manifest("box", {"box": entry})


@pytest.fixture
def packed(where: Places) -> Places:
    """Places whose package has `box`."""
    assert where.mirror is not None
    package = where.mirror.parent / "package"
    package.mkdir()
    put(package, "box.tflite")
    return Places(where.mirror, where.cache, package=package)


def test_a_bundled_model_is_used_in_the_package_whatever_lies_elsewhere(packed: Places) -> None:
    put(packed.mirror, "box.tflite", OTHER)
    put(packed.cache, "box.tflite", OTHER)
    model = resolve("box", bundled(), packed)
    assert (model.source, model.path) == ("package", packed.package / "box.tflite")
    row = model_row("box", bundled(), packed)
    assert (row.state, row.source, row.path, row.size_bytes) == ("ok", "package", model.path, len(CONTENT))


@pytest.mark.parametrize(
    ("content", "state"), [(None, "missing"), (OTHER, "wrong digest"), (CONTENT[:-1], "wrong digest")]
)
def test_a_damaged_bundled_model_is_neither_used_nor_looked_for_elsewhere(
    packed: Places, content: bytes | None, state: str
) -> None:
    path = packed.package / "box.tflite"
    path.unlink() if content is None else path.write_bytes(content)
    put(packed.cache, "box.tflite")

    def fetch(entry: ModelEntry) -> Path:
        raise AssertionError(entry)

    with pytest.raises(UnavailableError) as caught:
        resolve("box", bundled(), packed, fetch=fetch)
    assert str(caught.value) == f"bundled model 'box' is damaged ({path}: {state}): reinstall edge-pose"
