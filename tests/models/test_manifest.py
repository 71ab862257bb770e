"""The manifest: the product's own, a mirror's laid over it, and every mistake in it."""

import hashlib
import importlib.resources
from pathlib import Path

import pytest

from edge.errors import ConfigError, UnavailableError
from edge.models.manifest import load_manifest

GOOD = f"""
[own]
file = "own.tflite"
sha256 = "{"a1" * 32}"
kind = "multipose"
licence = "MIT"
"""


def mirror(folder: Path, text: str) -> Path:
    (folder / "models.toml").write_text(text, encoding="utf-8")
    return folder


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_manifest(mirror(folder, text))
    return caught.value.problems


def test_the_products_own_manifest_names_a_multipose_default() -> None:
    entry = load_manifest().entry()
    assert (entry.name, entry.kind) == ("movenet-multipose", "heads")
    assert entry.sources[0].digest == "git_blob:13f58ef630012938688bea78156729c7ef049a5d"


def test_an_edge_tpu_model_names_its_twin_for_the_processor() -> None:
    manifest = load_manifest()
    entry = manifest.entry("movenet-singlepose-lightning-int8-edgetpu")
    assert entry.delegate == "edgetpu"
    assert manifest.entry(entry.cpu_twin).delegate == ""


def test_every_model_has_an_origin_a_licence_and_unless_it_is_not_to_be_run_a_digest() -> None:
    for entry in load_manifest().entries.values():
        assert entry.bundled or entry.source or entry.sources or entry.package or entry.url.startswith("https://")
        assert entry.licence == "Apache-2.0"
        assert len(entry.digest) > len("git_blob:") or entry.kind == "savedmodel"


def test_a_savedmodel_may_lack_a_digest_and_says_so(tmp_path: Path) -> None:
    text = GOOD.replace("sha256", "#").replace("multipose", "savedmodel")
    assert load_manifest(mirror(tmp_path, text)).entry("own").digest == ""


def test_a_savedmodel_is_neither_a_default_nor_a_twin(tmp_path: Path) -> None:
    text = GOOD.replace("multipose", "savedmodel")
    (line,) = problems(tmp_path, 'default = "own"' + text)
    assert line == f'{tmp_path}/models.toml: default: "own" is not a model that can be run'
    (line,) = problems(tmp_path, text + GOOD.replace("[own]", '[other]\ncpu_twin = "own"'))
    assert 'other.cpu_twin: "own" is not a model for the processor' in line


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("ftp://models.example/m", "begins with https:// or http://"),
        ("file:///etc/passwd", "begins with https:// or http://"),
        ("https://", "begins with https:// or http://"),
        ("models.example/m", "begins with https:// or http://"),
        ("https://user:geheim@models.example/m", "must not hold a user name or password"),
        ("https://models.example/a b", "must be ASCII without spaces"),
        ("https://models.example:port/", ""),
    ],
)
def test_an_address_that_cannot_be_asked_is_refused_without_repeating_it(
    tmp_path: Path, url: str, complaint: str
) -> None:
    (line,) = problems(tmp_path, GOOD + f'url = "{url}"')
    assert "models.toml: own.url: " in line
    assert complaint in line
    assert "geheim" not in line


@pytest.mark.parametrize("member", ["../1.tflite", "/1.tflite", "a/../1.tflite", "a//b", "./1.tflite"])
def test_a_member_is_a_plain_path_inside_its_archive(tmp_path: Path, member: str) -> None:
    (line,) = problems(tmp_path, GOOD + f'member = "{member}"')
    assert "own.member: must be the path of a file inside the archive" in line


def test_a_mirror_adds_its_models_and_may_change_the_default(tmp_path: Path) -> None:
    manifest = load_manifest(mirror(tmp_path, 'default = "own"' + GOOD))
    assert manifest.entry().file == "own.tflite"
    assert manifest.entry("movenet-multipose-lightning-f16").url


def test_a_mirror_without_a_default_keeps_the_products(tmp_path: Path) -> None:
    assert load_manifest(mirror(tmp_path, GOOD)).default == load_manifest().default


def test_a_mirrors_entry_replaces_the_products_of_the_same_name_as_a_whole(tmp_path: Path) -> None:
    text = GOOD.replace("[own]", "[movenet-multipose-lightning-f16]")
    entry = load_manifest(mirror(tmp_path, text)).entry("movenet-multipose-lightning-f16")
    assert (entry.file, entry.url, entry.git_blob) == ("own.tflite", "", "")


def test_a_mirror_without_a_manifest_changes_nothing(tmp_path: Path) -> None:
    assert load_manifest(tmp_path) == load_manifest()


def test_a_digest_is_compared_in_lower_case(tmp_path: Path) -> None:
    manifest = load_manifest(mirror(tmp_path, GOOD.replace("a1" * 32, "A1" * 32)))
    assert manifest.entry("own").digest == "sha256:" + "a1" * 32


def test_a_git_blob_id_is_what_git_computes(tmp_path: Path) -> None:
    path = tmp_path / "hello"
    path.write_bytes(b"hello world\n")
    entry = load_manifest().entry("movenet-multipose-lightning-f16")
    # `printf 'hello world\n' | git hash-object --stdin`
    assert entry.digest_of(path) == "git_blob:3b18e512dba79e4c8300dd08aeb37f8e728b8dad"


def test_a_sha256_is_that_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(bytes(range(256)) * 5001)
    entry = load_manifest(mirror(tmp_path, GOOD)).entry("own")
    assert entry.digest_of(path) == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("movenet", "movenet-multipose"),
        ("movenet-multipose-lightning", "movenet-multipose-lightning-f16"),
        ("start", "starter"),
    ],
)
def test_the_beginning_of_a_name_is_answered_with_the_whole(name: str, near: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        load_manifest().entry(name)
    assert str(caught.value).startswith(f"model \"{name}\" is not in the manifest (did you mean '{near}'?); `edge-pose")


def test_a_file_that_is_no_model_is_not_searched_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "street.mp4").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnavailableError, match=r"^street\.mp4: is no \.tflite file, and no model's name: edge-pose"):
        load_manifest().entry("street.mp4")


def test_an_unknown_model_is_answered_with_the_nearest_or_all_known_names() -> None:
    with pytest.raises(UnavailableError) as caught:
        load_manifest().entry("movenet-multipose-lightning-fp16")
    assert "(did you mean 'movenet-multipose-lightning-f16'?)" in str(caught.value)
    with pytest.raises(UnavailableError) as caught:
        load_manifest().entry("whatever")
    assert "known: movenet-multipose, movenet-multipose-graph, movenet-multipose-lightning-f16, starter, " in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


def test_an_entry_without_a_digest_is_refused(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, GOOD.replace("sha256", "#"))
    complaint = "own: no sha256 or git_blob: a file without a known digest is never loaded by name"
    assert line == f"{tmp_path}/models.toml: {complaint}"


@pytest.mark.parametrize("name", ["../own.tflite", "/etc/passwd", "..", ".", "", "a/b.tflite", ".hidden", "a\\nb"])
def test_a_file_name_that_could_leave_the_mirror_is_refused(tmp_path: Path, name: str) -> None:
    (line,) = problems(tmp_path, GOOD.replace("own.tflite", name))
    assert "models.toml: own.file: " in line


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("sha256", "sha265", "own.sha265: unknown key (did you mean 'sha256'?)"),
        ("a1a1", "a1", "own.sha256: must be 64 hexadecimal digits"),
        (
            '"multipose"',
            '"multipos"',
            'own.kind: expected "graph_model", "heads", "multipose", "savedmodel" or "singlepose", got "multipos"',
        ),
        ('licence = "MIT"', "", "own.licence: missing"),
        ('licence = "MIT"', "licence = 3", "own.licence: expected text in quotes, got 3"),
        (
            "[own]",
            'default = "onw"\n[own]',
            "default: \"onw\" is not one of the models (did you mean 'own'?)",
        ),
        ("[own]", "default = 3\n[own]", "default: 3 is not one of the models"),
        ("[own]", 'defualt = "own"\n[own]', "defualt: unknown key (did you mean 'default'?)"),
        ("[own]", '["../own"]', "../own: a model's name has"),
        ("[own]", '["own.tflite"]', "own.tflite: a model's name has"),
        ("[own]", '[own]\ncpu_twin = "gone"', 'own.cpu_twin: "gone" is not a model for the processor'),
        ("[own]", '[own]\nname = "other"', "own.name: unknown key"),
        ("[own]", f'[own]\ngit_blob = "{"b2" * 20}"', "own: give sha256 or git_blob, not both"),
        ("[own]", "[own", "not valid TOML: "),
    ],
)
def test_a_mistake_in_a_mirrors_manifest_is_one_line_that_names_file_and_key(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    found = problems(tmp_path, GOOD.replace(old, new))
    assert any(line.startswith(f"{tmp_path}/models.toml: {complaint}") for line in found), found
    assert all("\n" not in line for line in found)


def test_all_mistakes_of_a_manifest_are_reported_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD.replace("MIT", 'MIT"\ncolour = "red').replace("own.t", "../o.t"))
    assert len(found) == 2


def test_a_twin_must_be_for_the_processor_itself(tmp_path: Path) -> None:
    text = GOOD.replace("[own]", '[own]\ncpu_twin = "movenet-singlepose-lightning-int8-edgetpu"')
    assert len(problems(tmp_path, text)) == 1


def test_a_mistake_in_the_default_model_is_not_reported_as_a_missing_default_too(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, 'default = "own"' + GOOD.replace("kind", "knid = 1 #"))[1:]
    assert "own.kind: missing" in line


def test_a_manifest_that_is_not_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "models.toml").mkdir()
    with pytest.raises(UnavailableError, match=r"models\.toml: cannot read the model manifest"):
        load_manifest(tmp_path)


EDGETPU = "movenet-singlepose-lightning-int8-edgetpu"
DERIVED = f"""
[many]
file = "many.tflite"
sha256 = "{"b2" * 32}"
kind = "heads"
licence = "MIT"
derived_from = "own"
size = "96x160"
"""


def test_a_derived_model_knows_the_entry_that_it_is_made_of(tmp_path: Path) -> None:
    text = GOOD.replace("multipose", "singlepose") + DERIVED
    manifest = load_manifest(mirror(tmp_path, text))
    assert manifest.entry("many").source == manifest.entry("own")
    assert manifest.entry("own").source is None


def test_a_source_that_the_mirror_replaces_is_the_one_that_is_used(tmp_path: Path) -> None:
    text = GOOD.replace("[own]", "[movenet-singlepose-lightning-int8]").replace("multipose", "singlepose")
    source = load_manifest(mirror(tmp_path, text)).entry("movenet-lightning-heads-int8").source
    assert source is not None
    assert source.file == "own.tflite"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (DERIVED, 'many.derived_from: "own" is not a singlepose model for the processor'),
        (DERIVED.replace('"own"', '"many"'), 'many.derived_from: "many" is not a singlepose model for the processor'),
        (DERIVED.replace('"own"', '"far"'), 'many.derived_from: "far" is not a singlepose model for the processor'),
        (
            DERIVED.replace('"own"', f'"{EDGETPU}"'),
            f'many.derived_from: "{EDGETPU}" is not a singlepose model for the processor',
        ),
        (DERIVED.replace('"heads"', '"multipose"'), 'many.derived_from: needs size, sha256 and kind = "heads"'),
        (
            DERIVED.replace("derived_from", "# "),
            "many.size: goes with derived_from or built_from, and these not with url",
        ),
        (
            DERIVED + 'url = "https://a.example"',
            "many.size: goes with derived_from or built_from, and these not with url",
        ),
        (DERIVED.replace("96x160", "97x160"), "many.size: '97x160' is not a multiple of 32 (nearest: 96x160)"),
        (DERIVED.replace("96x160", "auto"), "many.size: must be HxW, height first"),
    ],
)
def test_a_derived_model_that_cannot_be_made_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (line,) = problems(tmp_path, GOOD + text)
    assert line == f"{tmp_path}/models.toml: {complaint}"


def test_only_what_came_with_the_program_is_bundled(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, GOOD + "bundled = true")
    assert line == (
        f"{tmp_path}/models.toml: own.bundled: only for files in the package: put this one into the mirror or the cache"
    )
    assert load_manifest(mirror(tmp_path, GOOD + "bundled = false")).entry("own").bundled is False
    line, _ = problems(tmp_path, GOOD + "bundled = 1")
    assert line.startswith(f"{tmp_path}/models.toml: own.bundled: expected true or false")


def test_a_mirror_may_have_a_copy_of_the_programs_own_manifest(tmp_path: Path) -> None:
    text = (importlib.resources.files("edge") / "models.toml").read_text()
    assert "bundled = true" in text
    assert load_manifest(mirror(tmp_path, text)).entries == load_manifest().entries


def test_a_bundled_model_needs_no_other_origin() -> None:
    bundled = [entry for entry in load_manifest().entries.values() if entry.bundled]
    assert bundled
    for entry in bundled:
        assert (entry.url, entry.member, entry.derived_from) == ("", "", "")
