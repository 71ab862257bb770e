"""Downloads: what a broken, slow, lying or changing server does to them."""

import contextlib
import json
import socket
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from edge.download.http import Timeouts, TransferError, get_text
from edge.download.partial import PartialFile
from edge.download.transfer import Progress, download
from http_server import (
    Answer,
    FaultyServer,
    claiming,
    cut,
    endless,
    file,
    garbage,
    mute,
    partial,
    redirect,
    stall,
    status,
    without_length,
)

CONTENT = bytes(range(251)) * 800  # 200,800 bytes: several chunks, and no two alike
CHANGED = CONTENT[::-1]
PAGE = b"\r\n<!DOCTYPE html>\n<html><body>Log in to go on.</body></html>\n"
QUICK = Timeouts(open_s=20.0, stall_s=20.0, tries=3, pause_s=0.001)
IMPATIENT = replace(QUICK, stall_s=0.5)


@pytest.fixture
def part(tmp_path: Path) -> PartialFile:
    return PartialFile(tmp_path / "model.part")


def fetch(url: str, part: PartialFile, *, timeouts: Timeouts = QUICK, max_bytes: int = 10**6) -> bool:
    return download(url, part, name="m", timeouts=timeouts, max_bytes=max_bytes)


def failure(url: str, part: PartialFile, *, timeouts: Timeouts = QUICK, max_bytes: int = 10**6) -> str:
    with pytest.raises(TransferError) as caught:
        fetch(url, part, timeouts=timeouts, max_bytes=max_bytes)
    assert caught.value.exit_code == 69
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_arrives_whole(server: FaultyServer, part: PartialFile) -> None:
    assert fetch(server.on("/m", file(CONTENT)), part) is False
    assert part.path.read_bytes() == CONTENT


@pytest.mark.parametrize("etag", ['"1"', "W/1", ""])
def test_a_file_arrives_whole_although_the_connection_is_cut(
    server: FaultyServer, part: PartialFile, etag: str
) -> None:
    url = server.on("/m", cut(CONTENT, 70_000, etag), cut(CONTENT, 70_000, etag), file(CONTENT, etag))
    resumed = fetch(url, part)
    assert part.path.read_bytes() == CONTENT
    strong = etag == '"1"'  # only then the server can promise that it is the same file
    assert server.ranges("/m") == ([None, "bytes=70000-", "bytes=140000-"] if strong else [None] * 3)
    assert resumed is strong


def test_a_download_goes_on_where_an_earlier_process_was_cut_off(server: FaultyServer, part: PartialFile) -> None:
    url = server.on("/m", cut(CONTENT, 70_000), status(404))
    failure(url, part)
    server.on("/m", file(CONTENT))
    assert fetch(url, PartialFile(part.path)) is True
    assert part.path.read_bytes() == CONTENT
    assert server.ranges("/m")[-1] == "bytes=70000-"


@pytest.mark.parametrize("page", [file(PAGE, ""), without_length(PAGE), file(PAGE, '"page"')])
def test_a_login_page_in_place_of_the_rest_leaves_what_is_here(
    server: FaultyServer, part: PartialFile, page: Answer
) -> None:
    url = server.on("/m", cut(CONTENT, 70_000), status(404))
    failure(url, part)
    server.on("/m", page)
    assert failure(url, part).startswith(f"{server.url}/m: what came is no model, but looks like a web page (")
    assert server.count("/m") == 3  # nobody's login is waited for
    server.on("/m", file(CONTENT))
    assert fetch(url, part) is True
    assert part.path.read_bytes() == CONTENT
    assert server.ranges("/m")[-2:] == ["bytes=70000-"] * 2


def test_a_login_page_that_comes_and_goes_during_a_download_costs_nothing(
    server: FaultyServer, part: PartialFile
) -> None:
    url = server.on("/m", cut(CONTENT, 70_000), file(PAGE, ""), file(CONTENT))
    assert fetch(url, part) is True
    assert part.path.read_bytes() == CONTENT


def test_many_cuts_are_endured_as_long_as_each_try_brings_something(server: FaultyServer, part: PartialFile) -> None:
    content = CONTENT * 5
    url = server.on("/m", cut(content, 70_000))
    fetch(url, part, max_bytes=2 * 10**6)
    assert part.path.read_bytes() == content
    assert server.count("/m") == 15


def test_a_server_that_never_gets_further_is_given_up(server: FaultyServer, part: PartialFile) -> None:
    line = failure(server.on("/m", cut(CONTENT, 70_000, ranges=False)), part)
    assert line == f"{server.url}/m: connection cut off after 70000 of 200800 bytes"
    assert server.count("/m") == 4  # one that brought something, and three that did not


def test_a_server_that_ignores_range_makes_it_restart(server: FaultyServer, part: PartialFile) -> None:
    url = server.on("/m", cut(CONTENT, 70_000), file(CONTENT, ranges=False))
    assert fetch(url, part) is False
    assert part.path.read_bytes() == CONTENT


def test_a_file_that_has_changed_since_is_restarted(server: FaultyServer, part: PartialFile) -> None:
    url = server.on("/m", cut(CONTENT, 70_000, '"1"'), file(CHANGED, '"2"'))
    assert fetch(url, part) is False
    assert part.path.read_bytes() == CHANGED


@pytest.mark.parametrize("content_range", ["bytes 5-200799/200800", "bytes", ""])
def test_an_answer_that_continues_elsewhere_is_not_appended(
    server: FaultyServer, part: PartialFile, content_range: str
) -> None:
    url = server.on("/m", cut(CONTENT, 70_000), partial(CONTENT[5:], content_range), file(CONTENT))
    assert fetch(url, part) is False
    assert part.path.read_bytes() == CONTENT


def test_a_range_that_cannot_be_satisfied_makes_it_restart(server: FaultyServer, part: PartialFile) -> None:
    url = server.on("/m", cut(CONTENT, 70_000), status(416), file(CONTENT))
    fetch(url, part)
    assert part.path.read_bytes() == CONTENT


def test_bytes_of_another_address_are_not_continued(server: FaultyServer, part: PartialFile) -> None:
    failure(server.on("/a", cut(CHANGED, 70_000), status(404)), part)
    fetch(server.on("/b", file(CONTENT)), part)
    assert part.path.read_bytes() == CONTENT
    assert server.ranges("/b") == [None]


@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": 3}', '{"url": "http://other/"}'])
def test_bytes_without_a_readable_note_are_not_continued(server: FaultyServer, part: PartialFile, note: str) -> None:
    part.path.write_bytes(CHANGED[:1000])
    part.path.with_name("model.part.json").write_text(note)
    fetch(server.on("/m", file(CONTENT)), part)
    assert part.path.read_bytes() == CONTENT


def test_a_complete_part_is_not_asked_for_again(server: FaultyServer, part: PartialFile) -> None:
    url = server.on("/m", file(CONTENT, ""), status(500))
    fetch(url, part)
    assert fetch(url, part) is True
    assert server.count("/m") == 1


def test_a_file_of_untold_size_ends_with_the_connection(server: FaultyServer, part: PartialFile) -> None:
    url = server.on("/m", without_length(CONTENT), status(500))
    fetch(url, part)
    assert part.path.read_bytes() == CONTENT
    assert json.loads(part.path.with_name("model.part.json").read_text())["total_bytes"] == len(CONTENT)


def test_a_server_that_stalls_is_left_and_the_rest_is_taken_from_the_next_connection(
    server: FaultyServer, part: PartialFile
) -> None:
    url = server.on("/m", stall(CONTENT, 70_000), file(CONTENT))
    fetch(url, part, timeouts=IMPATIENT)
    assert part.path.read_bytes() == CONTENT
    assert server.ranges("/m") == [None, "bytes=70000-"]


def test_a_server_that_only_stalls_is_given_up_with_what_it_sent_kept(server: FaultyServer, part: PartialFile) -> None:
    line = failure(server.on("/m", stall(CONTENT, 5)), part, timeouts=IMPATIENT)
    assert line == f"{server.url}/m: sent nothing for 0.5 s"
    assert server.count("/m") == QUICK.tries
    assert part.path.read_bytes() == CONTENT[: 5 * QUICK.tries]


def test_a_server_that_never_answers_is_given_up_at_the_first_try(server: FaultyServer, part: PartialFile) -> None:
    timeouts = replace(QUICK, open_s=0.2, stall_s=3600.0)
    line = failure(server.on("/m", mute), part, timeouts=timeouts)
    assert line == f"{server.url}/m: no answer within 0.2 s"
    assert server.count("/m") == 1


@pytest.mark.parametrize(
    ("code", "tries", "text"),
    [
        (403, 1, "HTTP 403 Forbidden"),
        (404, 1, "HTTP 404 Not Found"),
        (407, 1, "HTTP 407 Proxy Authentication Required"),
        (500, 3, "HTTP 500 Internal Server Error"),
    ],
)
def test_a_status_is_named_and_only_a_passing_one_is_tried_again(
    server: FaultyServer, part: PartialFile, code: int, tries: int, text: str
) -> None:
    assert failure(server.on("/m", status(code)), part) == f"{server.url}/m: {text}"
    assert server.count("/m") == tries
    assert not part.path.exists()


def test_a_server_that_recovers_is_given_the_time(server: FaultyServer, part: PartialFile) -> None:
    fetch(server.on("/m", status(503), status(500), file(CONTENT)), part)
    assert part.path.read_bytes() == CONTENT


def test_what_is_no_http_server_is_named_in_one_line(server: FaultyServer, part: PartialFile) -> None:
    line = failure(server.on("/m", garbage), part)
    assert line == f"{server.url}/m: connection broken ('SSH-2.0-OpenSSH_9.2 \\x1b[31m')"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(server: FaultyServer, part: PartialFile, code: int) -> None:
    server.on("/far/m?signature=geheim", file(CONTENT))
    fetch(server.on("/m", redirect("far/m?signature=geheim", code)), part)
    assert part.path.read_bytes() == CONTENT


def test_what_signs_the_target_of_a_redirect_is_not_shown(server: FaultyServer, part: PartialFile) -> None:
    server.on("/far?signature=geheim", status(403))
    line = failure(server.on("/m", redirect(f"{server.url}/far?signature=geheim")), part)
    assert line == f"{server.url}/m: HTTP 403 Forbidden"


def test_redirects_in_a_circle_are_named(server: FaultyServer, part: PartialFile) -> None:
    server.on("/b", redirect("/m"))
    line = failure(server.on("/m", redirect("/b")), part)
    assert line == f"{server.url}/m: redirects in a circle (by way of {server.url}/m)"
    assert len(server.requests) == 2


def test_a_long_row_of_redirects_is_given_up(server: FaultyServer, part: PartialFile) -> None:
    for number in range(9):
        server.on(f"/{number}", redirect(f"/{number + 1}"))
    assert failure(f"{server.url}/0", part) == f"{server.url}/0: more than 5 redirects"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/m", "data:,x"])
def test_a_redirect_out_of_http_is_not_followed(server: FaultyServer, part: PartialFile, target: str) -> None:
    line = failure(server.on("/m", redirect(target)), part)
    assert line == f"{server.url}/m: redirects to {target.split(':', maxsplit=1)[0]}:, which is not followed"
    assert not part.path.exists()


def test_a_name_that_cannot_be_resolved_is_told_at_once(part: PartialFile) -> None:
    url = "http://[fe80::1%25none]/m"  # no such network card: fails like any unknown name, and no server is asked
    assert failure(url, part) == f"{url}: the name fe80::1%25none cannot be resolved"


def test_a_port_where_nobody_listens_is_told_at_once(part: PartialFile) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/m"
        assert failure(url, part) == f"{url}: connection refused"


def test_a_server_without_tls_is_told_at_once(server: FaultyServer, part: PartialFile) -> None:
    url = server.on("/m", file(CONTENT)).replace("http:", "https:")
    assert failure(url, part).startswith(f"{url}: no TLS connection (")


@pytest.mark.parametrize("answer", [claiming(10**6 + 1), endless])
def test_a_file_that_is_far_too_large_is_refused_and_leaves_nothing(
    server: FaultyServer, part: PartialFile, answer: Answer
) -> None:
    assert failure(server.on("/m", answer), part).endswith("/m: larger than 1 MB, no model is")
    assert list(part.path.parent.iterdir()) == []


def test_a_file_for_which_there_is_no_room_is_not_begun(server: FaultyServer, part: PartialFile) -> None:
    with pytest.raises(OSError, match="No space left on device"):
        fetch(server.on("/m", claiming(10**17)), part, max_bytes=10**18)


def test_progress_tells_the_way_of_a_download(server: FaultyServer, part: PartialFile) -> None:
    reported: list[Progress] = []
    url = server.on("/m", cut(CONTENT, 70_000), file(CONTENT))
    download(url, part, name="own", timeouts=QUICK, on_progress=reported.append)
    assert [step.state for step in reported if step.state != "running"] == ["broken", "done"]
    assert (reported[0].done_bytes, reported[-1].done_bytes, reported[-1].new_bytes) == (0, 200_800, 130_800)
    assert {(step.name, step.total_bytes) for step in reported} == {("own", 200_800)}


def test_a_small_text_is_returned_and_none_where_there_is_none(server: FaultyServer) -> None:
    assert get_text(server.on("/t", file("größer\n".encode())), QUICK) == "größer\n"
    assert get_text(f"{server.url}/none", QUICK) is None


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (status(500), "HTTP 500 Internal Server Error"),
        (file(b"\xff\xfe\x00"), "not UTF-8 text"),
        (endless, "far too large"),
        (stall(b"text", 2), "sent nothing for 0.5 s"),
        (cut(b"text", 2), "connection cut off after 2 bytes"),
        (cut(b"text", 0), "connection cut off after 0 bytes"),
    ],
)
def test_a_text_that_cannot_be_had_is_one_line(server: FaultyServer, answer: Answer, problem: str) -> None:
    with pytest.raises(TransferError) as caught:
        get_text(server.on("/t", answer), IMPATIENT)
    assert str(caught.value) == f"{server.url}/t: {problem}"


def trickle(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then: never a stall, and never an end."""
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(200):
            handler.wfile.write(b"#")
            time.sleep(0.05)


def test_a_text_that_trickles_is_given_up_after_all_its_time(server: FaultyServer) -> None:
    with pytest.raises(TransferError) as caught:
        get_text(server.on("/t", trickle), Timeouts(open_s=0.4, stall_s=0.3))
    assert str(caught.value) == f"{server.url}/t: not here after 0.7 s"
    assert caught.value.retry == "later"
