"""Model files come into the cache whole and verified, or not at all."""

import dataclasses
import hashlib
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from archives import tar_gz
from brokers import eventually
from certificates import LATER, NEW_KEY, PAST, RECENT, SOON, Authority, Identity, needs_openssl, openssl
from command import environment, run, start
from edge.download.http import Timeouts, TransferError
from edge.errors import ConfigError, UnavailableError, UsageError
from edge.models.entry import ModelEntry
from edge.models.fetch import Fetcher
from edge.models.files import expected_digest, find, model_row, resolve
from edge.models.manifest import Manifest
from edge.models.mirror import known_models
from edge.models.places import Places
from http_server import FaultyServer, cut, file, garbage, redirect, serving, stall, status
from tiny_models import echo_model
from videos import write_video

CONTENT = b"TFL3" + bytes(range(251)) * 800
OTHER = b"TFL3" + bytes(range(251))[::-1] * 800
QUICK = Timeouts(open_s=20.0, stall_s=20.0, tries=3, pause_s=0.001)
IMPATIENT = Timeouts(open_s=20.0, stall_s=0.5, tries=3, pause_s=0.001)
LOGIN_PAGE = b"\xef\xbb\xbf\r\n <!DOCTYPE html>\n<html><body>Welcome! Log in to go on.</body></html>\n"
"""What a network with a login page (a captive portal) answers with status 200, whatever was asked for."""
CLOSED = "http://127.0.0.1:9"  # the port of `discard`: nothing listens


@pytest.fixture
def where(tmp_path: Path) -> Places:
    return Places(None, tmp_path / "cache")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry(url: str, *, member: str = "", digest: str = sha256(CONTENT)) -> ModelEntry:
    return ModelEntry(
        name="own", file="own.tflite", kind="multipose", licence="MIT", url=url, member=member, sha256=digest
    )


def unknown(url: str) -> ModelEntry:
    return ModelEntry(name="source", file="source.tar.gz", kind="savedmodel", licence="MIT", url=url)


def fetch(model: ModelEntry, where: Places) -> Path:
    return Fetcher(where, timeouts=QUICK).fetch(model)


def failure(model: ModelEntry, where: Places) -> str:
    with pytest.raises(UnavailableError) as caught:
        fetch(model, where)
    assert "\n" not in str(caught.value)
    assert not (where.cache / model.file).exists()
    return str(caught.value)


def left(where: Places) -> set[str]:
    """Return the names in the cache, without the lock that stays."""
    return {path.name for path in where.cache.iterdir() if path.suffix != ".lock"}


def test_a_model_is_fetched_verified_and_kept(server: FaultyServer, where: Places) -> None:
    path = fetch(entry(server.on("/m", file(CONTENT))), where)
    assert path == where.cache / "own.tflite"
    assert path.read_bytes() == CONTENT
    assert left(where) == {"own.tflite"}


def test_a_model_that_is_here_is_not_asked_for(server: FaultyServer, where: Places) -> None:
    model = entry(server.on("/m", file(CONTENT)))
    fetch(model, where)
    assert fetch(model, where).read_bytes() == CONTENT
    assert server.count("/m") == 1


def test_first_use_fetches_and_second_use_does_not(server: FaultyServer, where: Places) -> None:
    model = entry(server.on("/m", file(CONTENT)))
    manifest = Manifest("own", {"own": model})
    fetcher = Fetcher(where, timeouts=QUICK)
    for _ in range(2):
        found = resolve(None, manifest, where, fetch=fetcher.fetch)
        assert (found.name, found.source, found.path.read_bytes()) == ("own", "cache", CONTENT)
    assert server.count("/m") == 1


def test_only_the_member_of_an_archive_is_kept(server: FaultyServer, where: Places) -> None:
    archive = tar_gz({"README": b"read me", "1.tflite": CONTENT})
    server.on("/far", file(archive))
    path = fetch(entry(server.on("/m", redirect("/far")), member="1.tflite"), where)
    assert path.read_bytes() == CONTENT
    assert left(where) == {"own.tflite"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (tar_gz({"2.tflite": CONTENT}), "has no 1.tflite in it, only '2.tflite'"),
        (tar_gz({"../1.tflite": CONTENT}), "has no 1.tflite in it, only '../1.tflite'"),
        (b"no such file", "is no .tar.gz archive (it begins with 'no such file')"),
        (tar_gz({"1.tflite": OTHER}), f"expected sha256:{sha256(CONTENT)}, got sha256:{sha256(OTHER)}"),
    ],
)
def test_a_wrong_archive_is_named_and_leaves_nothing(
    server: FaultyServer, where: Places, content: bytes, problem: str
) -> None:
    line = failure(entry(server.on("/m", file(content)), member="1.tflite"), where)
    assert f"model 'own' cannot be fetched: {server.url}/m: " in line
    assert problem in line
    assert left(where) == set()


def test_a_wrong_file_is_named_with_both_digests_and_leaves_nothing(server: FaultyServer, where: Places) -> None:
    line = failure(entry(server.on("/m", file(OTHER))), where)
    assert f"expected sha256:{sha256(CONTENT)}, got sha256:{sha256(OTHER)}" in line
    assert line.endswith(f"got sha256:{sha256(OTHER)}; other ways: edge-pose models fetch --help")  # later is no use
    assert left(where) == set()
    assert server.count("/m") == 1


@pytest.mark.parametrize("end", [file(CONTENT), cut(CONTENT, 9)])
def test_pieces_of_different_files_are_found_out_and_fetched_once_more(
    server: FaultyServer, where: Places, end: Callable[..., None]
) -> None:
    # The second answer continues although the file is another one by now: same ETag, other bytes.
    url = server.on("/m", cut(OTHER, 70_000), file(CONTENT), end, file(CONTENT))
    assert fetch(entry(url), where).read_bytes() == CONTENT


def test_a_cached_file_that_fails_its_digest_is_set_aside_and_fetched_again(
    server: FaultyServer, where: Places, caplog: pytest.LogCaptureFixture
) -> None:
    where.cache.mkdir()
    (where.cache / "own.tflite").write_bytes(OTHER)
    model = entry(server.on("/m", file(CONTENT)))
    found = resolve("own", Manifest("own", {"own": model}), where, fetch=Fetcher(where, timeouts=QUICK).fetch)
    assert found.path.read_bytes() == CONTENT
    assert (where.cache / "own.tflite.bad").read_bytes() == OTHER
    assert "is not the file that it should be: renamed to own.tflite.bad" in caplog.text


def test_an_absent_network_is_one_line_that_says_what_to_do(where: Places) -> None:
    line = failure(entry(f"{CLOSED}/m"), where)
    assert line.startswith(f"model 'own' cannot be fetched: {CLOSED}/m: connection refused: try again later")
    assert line.endswith("(edge-pose models fetch own); other ways: edge-pose models fetch --help")


def test_a_mirror_folder_that_has_not_the_file_is_named(where: Places, tmp_path: Path) -> None:
    line = failure(entry(f"{CLOSED}/m"), dataclasses.replace(where, mirror=tmp_path))
    assert f"cannot be fetched: the mirror {tmp_path} has no own.tflite; {CLOSED}/m: connection refused" in line


def test_a_model_without_any_address_says_so(where: Places) -> None:
    assert "no address is known for it" in failure(entry(""), where)


@pytest.mark.parametrize("code", [403, 404, 500])
def test_a_mirror_that_fails_is_followed_by_the_models_own_address(
    server: FaultyServer, tmp_path: Path, code: int
) -> None:
    server.on("/mirror/own.tflite", status(code))
    where = Places(None, tmp_path / "cache", f"{server.url}/mirror")
    assert fetch(entry(server.on("/m", file(CONTENT))), where).read_bytes() == CONTENT
    server.on("/m", status(404))
    line = failure(entry(f"{server.url}/m", digest=sha256(OTHER)), where)
    assert f"{server.url}/mirror/own.tflite: HTTP {code}" in line
    assert f"{server.url}/m: HTTP 404 Not Found" in line


def test_a_mirror_holds_the_file_itself_and_comes_first(server: FaultyServer, tmp_path: Path) -> None:
    server.on("/mirror/own.tflite", file(CONTENT))
    where = Places(None, tmp_path / "cache", f"{server.url}/mirror")
    fetch(entry(server.on("/m", status(500)), member="1.tflite"), where)
    assert server.count("/m") == 0


def test_a_cache_that_cannot_be_made_is_one_line_with_its_path(server: FaultyServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    where = Places(None, tmp_path / "cache" / "deep")
    with pytest.raises(UnavailableError, match=r"deep/own\.tflite: cannot be written: Not a directory: make room"):
        fetch(entry(server.on("/m", file(CONTENT))), where)


# Mirrors by address


MIRROR_MANIFEST = f"""
default = "own"
[own]
file = "own.tflite"
sha256 = "{sha256(CONTENT)}"
kind = "multipose"
licence = "MIT"
"""


@pytest.fixture
def mirrored(server: FaultyServer, tmp_path: Path) -> Places:
    server.on("/models.toml", file(MIRROR_MANIFEST.encode()))
    server.on("/own.tflite", file(CONTENT))
    return Places(None, tmp_path / "cache", server.url)


def test_the_manifest_of_a_mirror_is_laid_over_the_products(mirrored: Places) -> None:
    manifest = known_models(mirrored, QUICK)
    assert manifest.default == "own"
    assert "movenet-multipose-lightning-f16" in manifest.entries
    assert resolve(None, manifest, mirrored, fetch=Fetcher(mirrored).fetch).path.read_bytes() == CONTENT


def test_a_mirror_without_a_manifest_changes_nothing(server: FaultyServer, mirrored: Places) -> None:
    server.on("/models.toml", status(404))
    assert known_models(mirrored, QUICK) == known_models(Places(None, mirrored.cache))


def test_a_mirror_that_is_away_is_remembered(
    server: FaultyServer, mirrored: Places, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = known_models(mirrored, QUICK)
    server.on("/models.toml", status(403))
    assert known_models(mirrored, QUICK) == fresh
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "HTTP 403 Forbidden: going on with the mirror's cached manifest" in caplog.text


def test_a_mirror_that_has_broken_its_manifest_is_remembered_too(server: FaultyServer, mirrored: Places) -> None:
    fresh = known_models(mirrored, QUICK)
    for broken in (b"[broken", MIRROR_MANIFEST.replace("sha256", "sha265").encode()):
        server.on("/models.toml", file(broken))
        assert known_models(mirrored, QUICK) == fresh
    server.on("/models.toml", file(LOGIN_PAGE))
    assert known_models(mirrored, QUICK) == fresh


def test_a_mirror_that_was_never_reached_is_an_error_rather_than_another_default(tmp_path: Path) -> None:
    where = Places(None, tmp_path / "cache", CLOSED)
    with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:9/models\.toml: connection refused"):
        known_models(where, QUICK)


def test_a_mistake_in_the_manifest_of_a_mirror_names_its_address(server: FaultyServer, mirrored: Places) -> None:
    server.on("/models.toml", file(MIRROR_MANIFEST.replace("sha256", "sha265").encode()))
    with pytest.raises(ConfigError) as caught:
        known_models(mirrored, QUICK)
    assert all(line.startswith(f"{server.url}/models.toml: own") for line in caught.value.problems)


# Networks that answer with their login page


@pytest.mark.parametrize(
    "page",
    [LOGIN_PAGE, b"<html>", b'<?xml version="1.0"?><error/>', "<p>Grüße".encode("latin-1"), b"<p>" + b" " * (1 << 21)],
    ids=["page", "html", "xml", "latin-1", "large"],
)
def test_a_web_page_in_place_of_a_manifest_is_named_and_transient(
    server: FaultyServer, where: Places, page: bytes
) -> None:
    where = Places(None, where.cache, server.on("/models.toml", file(page)).removesuffix("/models.toml"))
    with pytest.raises(TransferError) as caught:
        known_models(where, QUICK)
    assert str(caught.value) == (
        f"{server.url}/models.toml: what came is no manifest, but looks like a web page (a login page of the network?)"
    )
    assert (caught.value.retry, caught.value.exit_code) == ("later", 69)
    assert not where.cache.exists()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (
            b"Please log in at http://login.example/",
            "not valid TOML: Expected '=' after a key in a key/value pair (at li",
        ),
        (b'{"error": "log in"}\n', "not valid TOML: Invalid statement (at line 1, column 1): correct it there, or "),
        (b"default = \n", "not valid TOML: Invalid value (at line 1, column 11): correct it there, or "),
        ("Grüße".encode("latin-1"), "not UTF-8 text"),
    ],
)
def test_what_is_no_toml_at_all_from_a_mirrors_address_is_transient(
    server: FaultyServer, where: Places, answer: bytes, problem: str
) -> None:
    where = Places(None, where.cache, server.on("/models.toml", file(answer)).removesuffix("/models.toml"))
    with pytest.raises(TransferError) as caught:
        known_models(where, QUICK)
    assert str(caught.value).startswith(f"{server.url}/models.toml: ")
    assert problem in str(caught.value)
    assert (caught.value.retry, caught.value.exit_code) == ("later", 69)
    assert not where.cache.exists()


def test_what_is_no_toml_at_all_in_a_mirrors_folder_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("Please log in")
    with pytest.raises(ConfigError, match="not valid TOML: "):
        known_models(Places(tmp_path, tmp_path / "cache"))


@pytest.mark.parametrize("member", ["", "1.tflite"])
def test_a_web_page_in_place_of_a_model_is_named_and_leaves_nothing(
    server: FaultyServer, where: Places, member: str
) -> None:
    line = failure(entry(server.on("/m", file(LOGIN_PAGE)), member=member), where)
    what = "what came is no model, but looks like a web page (a login page of the network?)"
    assert line.startswith(f"model 'own' cannot be fetched: {server.url}/m: {what}: try again later")
    assert left(where) == set()


def test_the_digest_of_a_web_page_is_never_offered_for_acceptance(server: FaultyServer, where: Places) -> None:
    line = failure(unknown(server.on("/s", file(LOGIN_PAGE), file(CONTENT))), where)
    assert "looks like a web page" in line
    assert "--accept-digest" not in line
    assert f"--accept-digest {sha256(CONTENT)}" in failure(unknown(f"{server.url}/s"), where)


def test_a_model_that_begins_like_an_arrow_is_no_web_page(server: FaultyServer, where: Places) -> None:
    content = b"<\0\0\0TFL3" + CONTENT  # its first number, the place of its root table, is 60: the code of "<"
    path = fetch(entry(server.on("/m", file(content)), digest=sha256(content)), where)
    assert path.read_bytes() == content


def test_a_login_page_ends_with_69_and_a_manifest_with_mistakes_with_78(server: FaultyServer, tmp_path: Path) -> None:
    env = {"EDGE_POSE_MODEL_MIRROR": server.url, "EDGE_POSE_CACHE": str(tmp_path / "cache")}
    server.on("/models.toml", file(LOGIN_PAGE), file(b"own = 3"))
    pages, mistakes = run("models", "fetch", env=env), run("models", "fetch", env=env)
    assert (pages.code, mistakes.code) == (69, 78)
    assert "no manifest, but looks like a web page" in pages.error_lines()[0]
    assert len(pages.err.splitlines()) == len(mistakes.err.splitlines()) == 1


def test_behind_a_login_page_a_run_has_the_starter(server: FaultyServer, tmp_path: Path) -> None:
    server.on("/models.toml", file(LOGIN_PAGE))
    env = {"EDGE_POSE_MODEL_MIRROR": server.url, "EDGE_POSE_CACHE": str(tmp_path / "cache")}
    done = run("run", "--camera", str(write_video(tmp_path / "v.mp4", 3)), "--jsonl", "-", "--no-pace", env=env)
    assert (done.code, len(done.out.splitlines())) == (0, 3), done.err
    assert "'starter' from the package is used" in done.err
    assert "looks like a web page" in done.err


# A source without a published digest


def test_a_file_without_a_known_digest_is_kept_only_once_its_digest_is_accepted(
    server: FaultyServer, where: Places
) -> None:
    model = unknown(server.on("/s", file(CONTENT)))
    line = failure(model, where)
    assert f"edge-pose models fetch source --accept-digest {sha256(CONTENT)}" in line
    path = Fetcher(where, timeouts=QUICK).fetch(model, accept=sha256(CONTENT).upper())
    assert path.read_bytes() == CONTENT
    assert server.count("/s") == 1  # what the first try fetched is used
    assert expected_digest(model, where) == f"sha256:{sha256(CONTENT)}"
    assert left(where) == {"source.tar.gz", "source.tar.gz.sha256"}
    assert fetch(model, where) == path


def test_a_member_without_a_known_digest_is_not_left_behind(server: FaultyServer, where: Places) -> None:
    archive = tar_gz({"1.tflite": CONTENT})
    model = replace(unknown(server.on("/s", file(archive))), member="1.tflite")
    assert f"--accept-digest {sha256(CONTENT)}" in failure(model, where)
    assert left(where) == {"source.tar.gz.part", "source.tar.gz.part.json"}
    assert Fetcher(where, timeouts=QUICK).fetch(model, accept=sha256(CONTENT)).read_bytes() == CONTENT
    assert left(where) == {"source.tar.gz", "source.tar.gz.sha256"}


def test_another_file_than_the_accepted_one_is_refused(server: FaultyServer, where: Places) -> None:
    model = unknown(server.on("/s", file(OTHER)))
    with pytest.raises(UnavailableError, match=f"expected sha256:{sha256(CONTENT)}"):
        Fetcher(where, timeouts=QUICK).fetch(model, accept=sha256(CONTENT))
    assert left(where) == set()


@pytest.mark.parametrize("digest", ["a1", "sha1:" + "a1" * 20, "g1" * 32])
def test_what_is_no_sha256_is_not_accepted(where: Places, digest: str) -> None:
    with pytest.raises(UsageError, match="--accept-digest: must be 64 hexadecimal digits"):
        Fetcher(where).fetch(unknown(""), accept=digest)


def test_a_known_digest_cannot_be_replaced(where: Places) -> None:
    with pytest.raises(UsageError, match="its digest is known"):
        Fetcher(where).fetch(entry(""), accept=sha256(OTHER))


# Several models


def test_one_model_that_fails_does_not_keep_the_others_from_coming(server: FaultyServer, where: Places) -> None:
    good, bad = entry(server.on("/m", file(CONTENT))), unknown(server.on("/s", status(404)))
    manifest = Manifest("own", {"own": good, "source": bad})
    rows = list(Fetcher(where, timeouts=QUICK).fetch_all(["source", "own"], manifest))
    assert [(row.entry.name, row.state) for row in rows] == [("source", "failed"), ("own", "fetched")]
    assert "HTTP 404" in rows[0].problem
    (again,) = Fetcher(where, timeouts=QUICK).fetch_all([], manifest)
    assert (again.state, again.path) == ("here", where.cache / "own.tflite")


def test_all_means_every_model_whose_digest_is_known(server: FaultyServer, where: Places) -> None:
    manifest = Manifest("own", {"source": unknown(server.url), "own": entry(server.on("/m", file(CONTENT)))})
    rows = list(Fetcher(where, timeouts=QUICK).fetch_all([], manifest, everything=True))
    assert [row.entry.name for row in rows] == ["own"]


def test_of_a_bundled_model_there_is_nothing_to_fetch(server: FaultyServer, tmp_path: Path) -> None:
    (tmp_path / "own.tflite").write_bytes(CONTENT)
    where = Places(None, tmp_path / "cache", server.url, package=tmp_path)
    model = replace(entry(""), bundled=True)
    (row,) = Fetcher(where, timeouts=QUICK).fetch_all(["own"], Manifest("own", {"own": model}))
    assert (row.state, row.path) == ("here", tmp_path / "own.tflite")
    (tmp_path / "own.tflite").write_bytes(OTHER)
    (row,) = Fetcher(where, timeouts=QUICK).fetch_all(["own"], Manifest("own", {"own": model}))
    assert (row.state, row.path) == ("failed", None)
    assert row.problem.endswith(": wrong digest): reinstall edge-pose")
    assert not where.cache.exists()
    assert not server.requests


@pytest.mark.parametrize(
    ("answer", "retry"),
    [
        (None, "later"),
        (status(403), "never"),
        (status(404), "never"),
        (status(407), "later"),
        (status(503), "later"),
        (status(511), "later"),
        (garbage, "later"),
        (cut(CONTENT, 70_000, ranges=False), "later"),
        (stall(CONTENT, 5), "later"),
        (file(OTHER), "never"),
        (file(LOGIN_PAGE), "later"),
    ],
)
def test_a_failure_has_whether_a_retry_may_help(
    server: FaultyServer, where: Places, answer: Callable[..., None] | None, retry: str
) -> None:
    url = f"{CLOSED}/m" if answer is None else server.on("/m", answer)
    with pytest.raises(TransferError) as caught:
        Fetcher(where, timeouts=IMPATIENT).fetch(entry(url))
    assert caught.value.retry == retry


@pytest.mark.parametrize(("mirror", "own"), [(503, 404), (404, 503)])
def test_one_source_that_may_come_back_makes_a_failure_transient(
    server: FaultyServer, tmp_path: Path, mirror: int, own: int
) -> None:
    server.on("/mirror/own.tflite", status(mirror))
    with pytest.raises(TransferError) as caught:
        fetch(entry(server.on("/m", status(own))), Places(None, tmp_path / "cache", f"{server.url}/mirror"))
    assert caught.value.retry == "later"


def test_a_wrong_way_to_ask_is_refused_before_anything_is_fetched(where: Places) -> None:
    manifest, fetcher = Manifest("own", {"own": entry("")}), Fetcher(where)
    with pytest.raises(UsageError, match="names or --all"):
        fetcher.fetch_all(["own"], manifest, everything=True)
    with pytest.raises(UsageError, match="for one model"):
        fetcher.fetch_all([], manifest, accept=sha256(CONTENT))
    with pytest.raises(UnavailableError, match="did you mean 'own'"):
        fetcher.fetch_all(["own", "onw"], manifest)
    assert not where.cache.exists()


# Two processes, and one that is killed

PROCESS = """
import logging, resource, sys
from pathlib import Path
from edge.errors import EdgeError
from edge.models.fetch import Fetcher
from edge.models.entry import ModelEntry
from edge.models.places import Places

url, cache, digest, max_bytes = sys.argv[1:]
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
if int(max_bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(max_bytes), int(max_bytes)))
entry = ModelEntry(name="own", file="own.tflite", kind="multipose", licence="MIT", url=url, sha256=digest)
show = lambda progress: print("bytes", progress.done_bytes, flush=True)
try:
    print("path", Fetcher(Places(None, Path(cache)), on_progress=show).fetch(entry))
except EdgeError as error:
    print("error", error)
"""


def process(
    url: str, where: Places, *, max_bytes: int = 0, env: Mapping[str, str | None] | None = None
) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", PROCESS, url, str(where.cache), sha256(CONTENT), str(max_bytes)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(env))


def read_until(running: subprocess.Popen[str], text: str) -> str:
    """Return the first line with this text; the end of the output is a failure."""
    assert running.stdout is not None
    seen = []
    for line in running.stdout:
        seen.append(line)
        if text in line:
            return line
    raise AssertionError(seen)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_download_that_is_killed_goes_on_the_next_time(
    server: FaultyServer, where: Places, how: signal.Signals
) -> None:
    url = server.on("/m", stall(CONTENT, 70_000), file(CONTENT))
    with process(url, where) as running:
        read_until(running, "bytes 70000")
        running.send_signal(how)
        running.wait(20)
    assert not (where.cache / "own.tflite").exists()
    assert fetch(entry(url), where).read_bytes() == CONTENT
    assert server.ranges("/m") == [None, "bytes=70000-"]


def test_a_run_that_is_stopped_while_it_fetches_its_model_ends_at_once_and_goes_on_the_next_time(
    server: FaultyServer, tmp_path: Path
) -> None:
    content = echo_model(tmp_path / "tiny.tflite", height=64, width=96).read_bytes()
    keys = {"file": "own.tflite", "kind": "multipose", "licence": "none", "sha256": sha256(content)}
    table = "\n".join(['default = "own"', "[own]", *(f'{key} = "{value}"' for key, value in keys.items())])
    url = server.on("/models.toml", file(table.encode())).removesuffix("/models.toml")
    server.on("/own.tflite", stall(content, 300), file(content))
    cache = tmp_path / "cache"
    env = {"EDGE_POSE_MODEL_MIRROR": url, "EDGE_POSE_CACHE": str(cache)}
    words = ["run", "--camera", str(write_video(tmp_path / "v.mp4", 3)), "--jsonl", "-", "--no-pace"]
    command = start(*words, env=env)
    eventually(lambda: (cache / "own.tflite.part").exists() and (cache / "own.tflite.part").stat().st_size == 300, 60)
    command.terminate()
    out, err = command.communicate(timeout=10)
    assert (command.returncode, out) == (0, "")
    assert "Traceback" not in err
    assert not (cache / "own.tflite").exists()
    done = run(*words, env=env)
    assert (done.code, len(done.out.splitlines())) == (0, 3), done.err
    assert server.ranges("/own.tflite") == [None, "bytes=300-"]


def test_of_two_processes_one_fetches_and_the_other_waits_and_finds_it(server: FaultyServer, where: Places) -> None:
    url = server.on("/m", stall(CONTENT, 70_000), status(500))
    with process(url, where) as first:
        read_until(first, "bytes 70000")
        with process(url, where) as second:
            read_until(second, "another process is fetching it: waiting")
            server.gate.set()
            read_until(second, "path")
        read_until(first, "path")
    assert server.count("/m") == 1
    assert (where.cache / "own.tflite").read_bytes() == CONTENT


def test_a_full_disk_is_one_line_with_the_path_and_the_next_time_goes_on(server: FaultyServer, where: Places) -> None:
    url = server.on("/m", file(CONTENT))
    with process(url, where, max_bytes=100_000) as running:
        line = read_until(running, "error")
    assert f"{where.cache}/own.tflite: cannot be written: File too large: make room" in line
    assert (where.cache / "own.tflite.part").stat().st_size == 100_000
    assert fetch(entry(url), where).read_bytes() == CONTENT
    assert server.ranges("/m")[-1] == "bytes=100000-"


def test_rows_tell_a_fetched_model(server: FaultyServer, where: Places) -> None:
    model = entry(server.on("/m", file(CONTENT)))
    fetch(model, where)
    row = model_row("own", Manifest("own", {"own": model}), where)
    assert (row.state, row.path, row.digest) == ("ok", find(model, where), model.digest)


@pytest.fixture
def localhost(tmp_path: Path) -> Identity:
    """A certificate that vouches for itself, with all that Python 3.13 asks of one."""
    extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,digitalSignature,keyCertSign")
    words = [word for extension in (*extensions, "subjectAltName=DNS:localhost") for word in ("-addext", extension)]
    make = ("req", "-x509", *NEW_KEY, "-days", "2", "-subj", "/CN=localhost", *words)
    openssl(tmp_path, *make, "-keyout", "localhost.key", "-out", "localhost.crt")
    return Identity(tmp_path / "localhost.crt", tmp_path / "localhost.key")


@needs_openssl
def test_a_server_whose_certificate_is_not_trusted_is_refused_until_it_is(localhost: Identity, where: Places) -> None:
    with serving(localhost) as server:
        url = server.on("/m", file(CONTENT))
        with process(url, where) as refused:
            assert "certificate refused (" in read_until(refused, "error")
        assert server.requests == []
        with process(url, where, env={"SSL_CERT_FILE": str(localhost.cert)}) as trusted:
            read_until(trusted, "path")
    assert (where.cache / "own.tflite").read_bytes() == CONTENT


def refusal(url: str, trusted: Path) -> str:
    """Ask for an address in a process that trusts a certificate; return its retry and its line."""
    code = (
        "import sys; from edge.download.http import *\n"
        "try: open_url(sys.argv[1], {}, Timeouts())\n"
        "except TransferError as error: print(error.retry, error)"
    )
    words = [sys.executable, "-c", code, url]
    env = environment({"SSL_CERT_FILE": str(trusted)})
    return subprocess.run(words, capture_output=True, text=True, check=True, env=env).stdout


@needs_openssl
@pytest.mark.parametrize(
    ("name", "begin", "end"),
    [("localhost", SOON, LATER), ("localhost", PAST, RECENT), ("login.example", PAST, LATER)],
)
def test_a_refused_certificate_may_be_a_clocks_or_a_login_pages_that_passes(
    tmp_path: Path, name: str, begin: str, end: str
) -> None:
    authority = Authority(tmp_path)
    with serving(authority.sign(name, begin, end)) as server:
        line = refusal(f"{server.url}/m", authority.cert)
    assert line.startswith(f"later {server.url}/m: certificate refused (")


@needs_openssl
def test_a_redirect_from_https_to_http_is_not_followed_and_may_be_a_login_pages(
    server: FaultyServer, localhost: Identity
) -> None:
    with serving(localhost) as secure:
        url = secure.on("/m", redirect(server.on("/m", file(CONTENT))))
        line = refusal(url, localhost.cert)
    assert line == f"later {url}: redirects to http:, which is not followed (a login page of the network?)\n"
    assert server.requests == []


def test_a_network_that_answers_https_without_tls_may_let_through_later(server: FaultyServer, where: Places) -> None:
    with pytest.raises(TransferError, match="no TLS connection") as caught:
        fetch(entry(server.on("/m", file(CONTENT)).replace("http:", "https:")), where)
    assert caught.value.retry == "later"
