"""A package is fetched by the machine's npm; each of its failures is one line."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.download.http import TransferError
from edge.download.npm import NpmLimits, packed
from edge.download.transfer import Progress
from npm_double import archive_of, put_npm

PACKAGE, VERSION = "@some/models", "1.2.3"
SERVE = "shutil.copy({path!r}, folder + '/some-models-1.2.3.tgz')"
SOON = NpmLimits(total_s=20, stall_s=0.6)


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put an npm on PATH; returns the folder for the archive."""

    def put(body: str, version: str = "11.0.0") -> Path:
        programs, work = tmp_path / "programs", tmp_path / "work"
        programs.mkdir()
        work.mkdir()
        monkeypatch.setenv("PATH", put_npm(programs, body, version=version)["PATH"])
        return work

    return put


def failing(code: str, *, as_json: bool = True) -> str:
    if as_json:
        error = json.dumps({"error": {"code": code, "summary": f"what {code} means, at https://user:pw@host/x"}})
        return f"print({error!r}); sys.exit(1)"
    return f"sys.stderr.write('npm ERR! code {code}' + chr(10) + 'npm ERR! more'); sys.exit(1)"


def fetch(work: Path, limits: NpmLimits = SOON) -> bytes:
    with packed(PACKAGE, VERSION, work, name="m", limits=limits) as archive:
        return archive.read_bytes()


def failure(work: Path, limits: NpmLimits = SOON) -> TransferError:
    with pytest.raises(TransferError) as caught:
        fetch(work, limits)
    assert "\n" not in str(caught.value)
    assert PACKAGE in str(caught.value)
    assert list(work.iterdir()) == []
    return caught.value


def test_the_archive_is_provided_and_nothing_is_left(npm: Callable[..., Path], tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.tgz", {"package/x": b"abc"})
    work = npm(SERVE.format(path=str(archive)))
    seen: list[Progress] = []
    with packed(PACKAGE, VERSION, work, name="m", on_progress=seen.append) as found:
        assert found.read_bytes() == archive.read_bytes()
    assert list(work.iterdir()) == []
    assert seen[-1].state == "done"
    assert seen[-1].done_bytes >= archive.stat().st_size
    assert (tmp_path / "programs/npm.log").read_text() == f"{PACKAGE}@{VERSION}\n"


def test_progress_counts_what_came_once_though_npm_keeps_it_twice(npm: Callable[..., Path]) -> None:
    body = "os.mkdir(folder + '/cache')\n"
    body += "for name in ('/cache/x', '/x.tgz'): open(folder + name, 'wb').write(bytes(100_000))"
    seen: list[Progress] = []
    with packed(PACKAGE, VERSION, npm(body), name="m", on_progress=seen.append):
        assert [each.done_bytes for each in seen] == [0, 100_000]


def test_an_old_npm_that_writes_into_its_working_folder_serves_too(npm: Callable[..., Path], tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.tgz", {"package/x": b"abc"})
    work = npm(f"shutil.copy({str(archive)!r}, os.getcwd())", "6.14.0")
    assert fetch(work) == archive.read_bytes()


def test_what_a_killed_process_left_is_deleted_and_what_others_write_is_not(npm: Callable[..., Path]) -> None:
    work = npm("open(folder + '/x.tgz', 'w').write(str(sorted(os.listdir(folder + '/..'))))")
    for name in ("m", "m-2"):
        (work / f".npm-{name}~abc/cache").mkdir(parents=True)
    listed = fetch(work).decode()
    assert ".npm-m~abc" not in listed
    assert ".npm-m-2~abc" in listed


def test_an_npm_that_lists_a_large_archive_is_not_taken_for_one_that_hangs(npm: Callable[..., Path]) -> None:
    work = npm("open(folder + '/x.tgz', 'w').write('abc')\ntime.sleep(1.5)")
    assert fetch(work, NpmLimits(total_s=20, stall_s=0.6, finish_s=15)) == b"abc"
    assert list(work.iterdir()) == []


def test_without_npm_one_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    (tmp_path / "work").mkdir()
    error = failure(tmp_path / "work")
    assert "no npm" in str(error)
    assert error.retry == "never"


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    ("code", "words", "retry"),
    [
        ("E401", "npm login", "never"),
        ("ENEEDAUTH", "npm login", "never"),
        ("E403", "403", "never"),
        ("E404", "404", "never"),
        ("ETARGET", "this version", "never"),
        ("ENOSPC", "disk is full", "never"),
        ("ENOTCACHED", "work offline", "never"),
        ("EINTEGRITY", "digest", "later"),
        ("E503", "cannot be reached", "later"),
        ("ENOTFOUND", "cannot be reached", "later"),
        ("ECONNREFUSED", "cannot be reached", "later"),
        ("ETIMEDOUT", "cannot be reached", "later"),
        ("FETCH_ERROR", "login page of the network", "later"),
        ("SELF_SIGNED_CERT_IN_CHAIN", "certificate is refused", "later"),
        ("CERT_HAS_EXPIRED", "is the clock right?", "later"),
        ("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "npm config set cafile", "later"),
        ("EWEIRD", "npm failed (EWEIRD)", "never"),
    ],
)
def test_what_npm_says_becomes_one_line(
    code: str, words: str, retry: str, as_json: bool, npm: Callable[..., Path]
) -> None:
    error = failure(npm(failing(code, as_json=as_json)), NpmLimits())  # it ends by itself
    assert words in str(error)
    assert error.retry == retry
    assert "user:pw" not in str(error)


@pytest.mark.parametrize(
    ("body", "version", "words"),
    [
        ("sys.exit(1)", "6.14.0", "npm 6 is too old"),
        ("sys.exit(1)", "11.0.0", "it said nothing"),
        ("pass", "11.0.0", "no archive"),
        ("print('[' * 200000); sys.exit(1)", "11.0.0", "npm failed"),
        ("sys.stderr.write(chr(27) + '[2J' + 'x' * 5000); sys.exit(1)", "11.0.0", "npm failed"),
        ("print('{\"error\": 3}'); sys.exit(1)", "11.0.0", "npm failed"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "11.0.0", "npm was ended by signal 9: is there memory for it?"),
    ],
)
def test_other_failures_are_one_line_too(body: str, version: str, words: str, npm: Callable[..., Path]) -> None:
    error = failure(npm(body, version))
    assert words in str(error)
    assert "\x1b" not in str(error)
    assert len(str(error)) < 300


def test_an_npm_that_hangs_is_ended_with_all_that_it_started(npm: Callable[..., Path], tmp_path: Path) -> None:
    child = tmp_path / "child"
    work = npm(f"pid = os.fork()\nif pid == 0:\n    open({str(child)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")
    error = failure(work)
    assert "brought nothing for 0.6 s" in str(error)
    assert error.retry == "later"
    _wait_until_gone(int(child.read_text()))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (NpmLimits(total_s=0.7, stall_s=30), "longer than 0.7 s"),
        (NpmLimits(total_s=30, stall_s=30, max_bytes=1000), "more than 0 MB"),
    ],
)
def test_time_and_size_are_bounded(limits: NpmLimits, words: str, npm: Callable[..., Path]) -> None:
    body = "file = open(folder + '/x', 'wb', 0)\nfor _ in range(600):\n    file.write(bytes(50)); time.sleep(0.05)"
    work = npm(body)
    assert words in str(failure(work, limits))


def test_stopping_ends_npm_and_leaves_nothing(npm: Callable[..., Path], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    work = npm(f"open({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")

    def interrupt() -> None:
        while not (mark.exists() and mark.read_text()):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        fetch(work, NpmLimits())
    assert list(work.iterdir()) == []
    _wait_until_gone(int(mark.read_text()))


def _wait_until_gone(pid: int) -> None:
    for _ in range(200):
        try:
            if (
                f"{pid} (".encode() in Path(f"/proc/{pid}/stat").read_bytes()
                and b") Z " in Path(f"/proc/{pid}/stat").read_bytes()
            ):
                return
        except FileNotFoundError:
            return
        time.sleep(0.02)
    pytest.fail(f"process {pid} still runs")
