import os
from pathlib import Path

from edge.host.holders import Holder, holders


def process(proc: Path, pid: int, command: str, *targets: str) -> None:
    (proc / f"{pid}/fd").mkdir(parents=True)
    (proc / f"{pid}/comm").write_text(command + "\n")
    for number, target in enumerate(targets):
        (proc / f"{pid}/fd/{number}").symlink_to(target)


def test_everybody_who_has_the_device_open_is_found_by_pid(tmp_path: Path) -> None:
    process(tmp_path, 1234, "ffmpeg", "/dev/null", "/dev/video0")
    process(tmp_path, 97, "motion", "/dev/video0", "/dev/video0")
    process(tmp_path, 300, "bash", "/dev/video1", "/dev/video00")
    (tmp_path / "sys").mkdir()
    assert holders("/dev/video0", proc=tmp_path) == (Holder(97, "motion"), Holder(1234, "ffmpeg"))


def test_this_process_is_left_out(tmp_path: Path) -> None:
    process(tmp_path, 97, "edge-pose", "/dev/video0")
    assert holders("/dev/video0", proc=tmp_path, own_pid=97) == ()


def test_a_process_that_ends_while_it_is_looked_at_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "55").mkdir()
    (tmp_path / "56/fd").mkdir(parents=True)
    (tmp_path / "56/fd/0").symlink_to("/dev/video0")
    assert [str(holder) for holder in holders("/dev/video0", proc=tmp_path)] == ["56 (?)"]


def test_without_process_files_no_process_is_found(tmp_path: Path) -> None:
    assert holders("/dev/video0", proc=tmp_path / "none") == ()


def test_this_process_is_found_when_another_one_asks(tmp_path: Path) -> None:
    file = tmp_path / "video0"
    with file.open("w"):
        (found,) = holders(str(file.resolve()), own_pid=-1)
    assert found.pid == os.getpid()
