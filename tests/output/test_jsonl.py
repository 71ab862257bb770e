import json
import logging
import os
import stat
import threading
from pathlib import Path

import jsonschema
import pytest

from builders import ORIGIN, pose, result
from edge.errors import UnavailableError
from edge.output.jsonl import JsonlFileSink, JsonlStdoutSink
from edge.payload import schemas


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def file_sink(path: Path, max_bytes: int = 10**6) -> JsonlFileSink:
    sink = JsonlFileSink(path, ORIGIN, max_bytes=max_bytes)
    sink.open()
    return sink


def test_every_line_is_a_pose_message_of_the_contract(tmp_path: Path) -> None:
    sink = file_sink(tmp_path / "p.jsonl")
    sink.write(result(pose(track_id=3), pose(x=0.6), index=7))
    sink.write(result(index=8))
    sink.close()
    first, second = lines(tmp_path / "p.jsonl")
    for message in (first, second):
        jsonschema.validate(message, schemas()["pose"])
    assert (first["seq"], second["seq"]) == (7, 8)
    assert second["poses"] == []


def test_lines_are_there_at_once_and_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    for index in range(2):
        sink = file_sink(path)
        sink.write(result(index=index))
        assert len(lines(path)) == index + 1
        sink.close()


def test_half_a_line_left_by_a_power_cut_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"v":1,"dev')
    sink = file_sink(path)
    sink.write(result(index=5))
    sink.close()
    assert json.loads(path.read_text().splitlines()[1])["seq"] == 5


def test_a_full_file_is_kept_once_and_no_line_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    sink = file_sink(path, max_bytes=10_000)
    for index in range(9):
        sink.write(result(pose(), pose(), pose(), index=index))
    sink.close()
    kept = tmp_path / "p.jsonl.1"
    assert path.stat().st_size <= 10_000
    assert kept.stat().st_size <= 10_000
    sequence = [message["seq"] for message in lines(kept) + lines(path)]
    assert sequence == list(range(9))[-len(sequence) :]
    assert len(sequence) >= 6


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_warns_once_and_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    sink = file_sink(Path("/dev/full"))
    with caplog.at_level(logging.WARNING):
        for index in range(5):
            sink.write(result(index=index))
    assert caplog.text.count("No space left on device") == 1
    sink.close()


def test_writing_goes_on_when_the_folder_is_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "usb"
    folder.mkdir()
    sink = JsonlFileSink(folder / "p.jsonl", ORIGIN, max_bytes=10_000, retry_s=0, check_s=0)
    sink.open()
    (folder / "p.jsonl").unlink()
    folder.rmdir()
    for index in range(3):
        sink.write(result(pose(), pose(), pose(), index=index))
    folder.mkdir()
    sink.write(result(index=9))
    sink.close()
    assert lines(folder / "p.jsonl")[-1]["seq"] == 9
    assert "lines are lost" in caplog.text
    assert "writing again" in caplog.text


def test_an_output_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "p.jsonl"):
        with pytest.raises(UnavailableError, match="cannot be written"):
            file_sink(path)


def test_a_reader_that_leaves_ends_the_run_once() -> None:
    reader, writer = os.pipe()
    closed = []
    sink = JsonlStdoutSink(ORIGIN, lambda: closed.append(True), descriptor=writer)
    sink.open()
    sink.write(result(index=1))
    assert json.loads(os.read(reader, 10_000))["seq"] == 1
    os.close(reader)
    for index in range(3):
        sink.write(result(index=index))
    assert closed == [True]
    os.close(writer)


@pytest.mark.parametrize("blocks", [True, False])
def test_a_slow_reader_gets_whole_lines_whether_stdout_blocks_or_not(blocks: bool) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, blocks)
    sink = JsonlStdoutSink(ORIGIN, lambda: None, descriptor=writer)
    many = [pose(x=0.01 * i) for i in range(6)]

    def write_all() -> None:
        for index in range(60):  # more than a pipe holds
            sink.write(result(*many, index=index))
        os.close(writer)

    thread = threading.Thread(target=write_all)
    thread.start()
    with os.fdopen(reader, "rb") as stream:
        assert [json.loads(line)["seq"] for line in stream] == list(range(60))
    thread.join()


def test_a_closed_stdout_is_unavailable() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    os.close(reader)
    with pytest.raises(UnavailableError, match="stdout is closed"):
        JsonlStdoutSink(ORIGIN, lambda: None, descriptor=writer).open()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_its_owner_reads_a_file_that_was_not_there_and_another_keeps_its_mode(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "p.jsonl", tmp_path / "q.jsonl"
    theirs.touch()
    theirs.chmod(0o640)
    for path, mode in ((ours, 0o600), (theirs, 0o640)):
        sink = file_sink(path, max_bytes=10_000)
        for index in range(12):
            sink.write(result(pose(), pose(), pose(), index=index))
        sink.close()
        assert (mode_of(path), mode_of(path.with_name(f"{path.name}.1"))) == (mode, mode)


def test_a_file_of_another_program_is_not_rotated_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, other = tmp_path / "p.jsonl", tmp_path / "p.jsonl.1"
    other.write_text("my thesis")
    sink = file_sink(path, max_bytes=10_000)
    for index in range(12):
        sink.write(result(pose(), pose(), pose(), index=index))
    sink.close()
    assert other.read_text() == "my thesis"
    assert len(lines(path)) == 12
    assert caplog.text.count("p.jsonl.1 is not of this program: move it away") == 1


def test_a_device_or_a_pipe_is_never_rotated(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    sink = file_sink(pipe, max_bytes=10_000)
    for index in range(12):
        sink.write(result(pose(), pose(), pose(), index=index))
    sink.close()
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [entry.name for entry in tmp_path.iterdir()] == ["pipe"]
    with os.fdopen(reader, "rb") as stream:
        assert len(stream.read().splitlines()) == 12


def test_a_pipe_without_a_reader_is_unavailable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnavailableError, match="no process reads this pipe"):
        file_sink(tmp_path / "pipe")


def test_a_link_stays_a_link_when_its_file_is_rotated(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "p.jsonl"
    link.symlink_to(tmp_path / "disk" / "real.jsonl")
    sink = file_sink(link, max_bytes=10_000)
    for index in range(12):
        sink.write(result(pose(), pose(), pose(), index=index))
    sink.close()
    assert link.is_symlink()
    assert {entry.name for entry in (tmp_path / "disk").iterdir()} == {"real.jsonl", "real.jsonl.1"}


def test_a_file_that_was_moved_away_is_created_again(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    sink = JsonlFileSink(path, ORIGIN, max_bytes=10**6, check_s=0)
    sink.open()
    sink.write(result(index=1))
    path.rename(tmp_path / "old.jsonl")
    sink.write(result(index=2))
    sink.close()
    assert [message["seq"] for message in lines(path)] == [2]
