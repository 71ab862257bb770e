import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge.commands.doctor.checks.cameras import check_configured_camera, check_pi_cameras, check_video_nodes
from edge.commands.doctor.checks.groups import check_groups
from edge.commands.doctor.checks.service import Unit
from edge.commands.doctor.finding import Finding
from edge.commands.doctor.host import CommandResult, User
from edge.commands.doctor.video_node import VideoNode, query_node
from machines import machine

WEBCAM = VideoNode("uvcvideo", "HD Pro Webcam C920", captures=True)
METADATA = VideoNode("uvcvideo", "HD Pro Webcam C920", captures=False)
CODEC = VideoNode("bcm2835-codec", "bcm2835-codec-decode", captures=True)
BY_ID = "dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_A1B2-video-index0"
BY_PATH = "dev/v4l/by-path/platform-xhci-hcd.0-usb-0:1:1.0-video-index0"
LISTED = """\
Available cameras
-----------------
0 : imx708 [4608x2592 10-bit RGGB] (/base/axi/pcie@1000120000/rp1/i2c@88000/imx708@1a)
    Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps - (768, 432)/3072x1728 crop]
1 : ov5647 [2592x1944 10-bit GBRG] (/base/axi/pcie@1000120000/rp1/i2c@80000/ov5647@36)
"""
GROUPS = "root:x:0:\nvideo:x:44:ada\nplugdev:x:46:edge\nrender:x:105:\nada:x:1000:\nedge-pose:x:997:\n"


def nodes(**found: VideoNode | OSError) -> Callable[[Path], VideoNode]:
    def ask(path: Path) -> VideoNode:
        answer = found[path.name]
        if isinstance(answer, OSError):
            raise answer
        return answer

    return ask


def video(*names: str) -> dict[str, str | None]:
    return {f"sys/class/video4linux/{name}/name": f"{name}'s label\n" for name in names}


def test_a_camera_is_reported_with_the_name_that_stays(tmp_path: Path) -> None:
    links = {BY_ID: "-> ../../video0", BY_PATH: "-> ../../video0"}
    host = machine(tmp_path, {**video("video0", "video1"), **links}, query_node=nodes(video0=WEBCAM, video1=METADATA))
    (found,) = check_video_nodes(host)
    assert (found.state, found.subject) == ("ok", f"/{BY_ID}")
    assert found.found == "HD Pro Webcam C920 (uvcvideo, /dev/video0)"


def test_two_cameras_of_one_name_are_reported_by_port_and_by_node(tmp_path: Path) -> None:
    links = {BY_ID: "-> ../../video10", BY_PATH: "-> ../../video2"}
    cameras = nodes(video2=WEBCAM, video10=WEBCAM, video3=WEBCAM)
    host = machine(tmp_path, {**video("video10", "video2", "video3"), **links}, query_node=cameras)
    assert [finding.subject for finding in check_video_nodes(host)] == [f"/{BY_PATH}", "/dev/video3", f"/{BY_ID}"]


def test_codecs_and_the_parts_behind_a_ribbon_cable_are_no_cameras(tmp_path: Path) -> None:
    files = {"sys/class/video4linux/video10/name": "bcm2835-codec-decode", "sys/class/video4linux/video0/name": "x"}
    host = machine(tmp_path, files, query_node=nodes(video0=CODEC, video10=OSError(errno.EACCES, "no")))
    assert check_video_nodes(host) == []


def test_a_camera_in_use_by_another_program_is_a_warning_that_names_it(tmp_path: Path) -> None:
    files = {"proc/4711/fd/9": "-> /dev/video0", "proc/4711/comm": "motion\n", "proc/self/fd/1": "x"}
    busy = nodes(video0=replace(WEBCAM, is_busy=True))
    (found,) = check_video_nodes(machine(tmp_path, {**video("video0"), **files}, query_node=busy))
    assert found.state == "warning"
    assert "in use by 4711 (motion)" in found.found
    assert found.fix == "sudo kill 4711"


def test_a_program_that_has_a_camera_open_and_takes_no_pictures_is_no_trouble(tmp_path: Path) -> None:
    files = {"proc/4711/fd/9": "-> /dev/video0", "proc/4711/comm": "wireplumber\n"}
    (found,) = check_video_nodes(machine(tmp_path, {**video("video0"), **files}, query_node=nodes(video0=WEBCAM)))
    assert found.state == "ok"
    assert found.found.endswith(", open and idle in 4711 (wireplumber)")


def test_a_camera_in_use_by_this_program_is_as_it_should_be(tmp_path: Path) -> None:
    files = {"proc/4711/fd/9": "-> /dev/video0", "proc/4711/comm": "edge-pose\n"}
    busy = nodes(video0=replace(WEBCAM, is_busy=True))
    (found,) = check_video_nodes(machine(tmp_path, {**video("video0"), **files}, query_node=busy))
    assert found.state == "ok"
    assert "in use by 4711 (edge-pose)" in found.found


def test_a_camera_that_streams_to_an_unseen_program_is_to_be_examined_as_root(tmp_path: Path) -> None:
    busy = nodes(video0=replace(WEBCAM, is_busy=True))
    (found,) = check_video_nodes(machine(tmp_path, video("video0"), query_node=busy))
    assert (found.state, found.fix) == ("warning", "sudo edge-pose doctor")


@pytest.mark.parametrize(
    ("number", "state", "words"),
    [
        (errno.EACCES, "problem", "may not be opened by ada"),
        (errno.EBUSY, "warning", "in use by"),
        (errno.ENODEV, "warning", "not connected"),
        (errno.ENOTTY, "unknown", "cannot be queried"),
    ],
)
def test_a_node_that_cannot_be_opened_says_why(tmp_path: Path, number: int, state: str, words: str) -> None:
    refused = OSError(number, os.strerror(number))
    (found,) = check_video_nodes(machine(tmp_path, video("video0"), query_node=nodes(video0=refused)))
    assert found.state == state
    assert words in found.found
    assert found.subject == "/dev/video0"
    assert ("usermod -aG video ada" in found.fix) == (number == errno.EACCES)


def test_a_camera_whose_nodes_cannot_be_opened_is_reported_once(tmp_path: Path) -> None:
    order = {"sys/class/video4linux/video0/index": "0\n", "sys/class/video4linux/video1/index": "1\n"}
    closed = PermissionError(errno.EACCES, "no")
    host = machine(tmp_path, {**video("video0", "video1"), **order}, query_node=nodes(video0=closed, video1=closed))
    assert [finding.subject for finding in check_video_nodes(host)] == ["/dev/video0"]


def test_a_busy_node_names_its_user_or_who_can_see_it(tmp_path: Path) -> None:
    busy = nodes(video0=OSError(errno.EBUSY, "busy"))
    (found,) = check_video_nodes(machine(tmp_path, {"dev/video0": ""}, query_node=busy))
    assert found.found == "a video device (/dev/video0), in use by a program that this user cannot see"
    files = {"proc/4711/fd/9": "-> /dev/video0", "proc/4711/comm": "motion\n"}
    (found,) = check_video_nodes(machine(tmp_path / "b", {**video("video0"), **files}, query_node=busy))
    assert found.found == "video0's label (/dev/video0), in use by 4711 (motion)"


def test_a_file_that_is_no_video_node_refuses_the_question(tmp_path: Path) -> None:
    (tmp_path / "video0").write_text("")
    with pytest.raises(OSError, match="ioctl"):
        query_node(tmp_path / "video0")


def test_a_computer_that_is_no_pi_is_not_asked_for_a_ribbon_cable(tmp_path: Path) -> None:
    host = machine(tmp_path, commands={"rpicam-hello --list-cameras": CommandResult(0, "No cameras available!\n")})
    assert check_pi_cameras(host, wanted=False) == []


def test_the_pis_own_cameras_are_reported_with_their_numbers(tmp_path: Path) -> None:
    host = machine(tmp_path, commands={"rpicam-hello --list-cameras": CommandResult(0, LISTED)})
    found = check_pi_cameras(host, wanted=True)
    assert [(finding.subject, finding.state) for finding in found] == [("pi:0", "ok"), ("pi:1", "ok")]
    assert found[0].found == "imx708 [4608x2592 10-bit RGGB]"


def test_the_command_of_older_systems_is_asked_too(tmp_path: Path) -> None:
    host = machine(tmp_path, commands={"libcamera-hello --list-cameras": CommandResult(0, LISTED)})
    assert len(check_pi_cameras(host, wanted=False)) == 2


PI = {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0"}


@pytest.mark.parametrize(("wanted", "state"), [(True, "problem"), (False, "unknown")])
def test_a_pi_without_a_camera_cable_is_a_problem_only_where_it_is_to_be_read(
    tmp_path: Path, wanted: bool, state: str
) -> None:
    host = machine(tmp_path, PI, {"rpicam-hello --list-cameras": CommandResult(0, "No cameras available!\n")})
    (found,) = check_pi_cameras(host, wanted=wanted)
    assert found.state == state
    assert ("ribbon cable" in found.fix) == wanted


def test_a_listing_that_fails_is_not_taken_for_no_camera(tmp_path: Path) -> None:
    host = machine(tmp_path, PI, {"rpicam-hello --list-cameras": CommandResult(-6, "", "terminate called\n")})
    (found,) = check_pi_cameras(host, wanted=True)
    assert found.state == "unknown"
    assert "terminate called" in found.found


def test_without_the_command_a_pi_says_how_to_get_it_and_others_say_nothing(tmp_path: Path) -> None:
    assert check_pi_cameras(machine(tmp_path / "pc"), wanted=False) == []
    (found,) = check_pi_cameras(machine(tmp_path / "pi", PI), wanted=True)
    assert found.state == "warning"
    assert "apt install" in found.fix


def test_a_configured_camera_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    host = machine(tmp_path, {"dev/video0": ""})
    assert [finding.subject for finding in check_configured_camera(host, f"/{BY_ID}")] == [f"/{BY_ID}"]
    assert check_configured_camera(host, "/dev/video0") == []
    assert check_configured_camera(host, "rtsp://10.0.0.7/x") == []


def groups_of(
    tmp_path: Path,
    unit: Unit | None = None,
    *,
    has_cameras: bool = False,
    has_coral: bool = False,
    groups: str = GROUPS,
) -> Finding:
    files = {"etc/group": groups, "etc/passwd": "edge-pose:x:997:997::/nonexistent:/usr/sbin/nologin\n"}
    host = machine(tmp_path, files, user=User("ada", 1000, frozenset({"ada", "video"})))
    return check_groups(host, unit, has_cameras=has_cameras, has_coral=has_coral)


def test_missing_groups_are_reported_with_the_command_that_adds_them(tmp_path: Path) -> None:
    found = groups_of(tmp_path)
    assert found.state == "warning"
    assert found.fix == "sudo usermod -aG render,plugdev ada; then log in again"


def test_a_coral_makes_a_missing_plugdev_a_problem(tmp_path: Path) -> None:
    found = groups_of(tmp_path, has_coral=True)
    assert found.state == "problem"
    assert found.found == "ada is not in render for graphics; plugdev for the USB Coral"
    assert groups_of(tmp_path, has_cameras=True).state == "warning"  # it is in video


def test_the_services_user_counts_where_there_is_a_service(tmp_path: Path) -> None:
    found = groups_of(tmp_path, Unit(user="edge-pose", groups=("render",)), has_cameras=True)
    assert found.state == "problem"
    assert found.fix == "sudo usermod -aG video,plugdev edge-pose; then sudo systemctl restart edge-pose"


def test_groups_that_the_unit_or_the_system_gives_are_counted(tmp_path: Path) -> None:
    listed = GROUPS.replace("plugdev:x:46:edge", "plugdev:x:46:edge-pose").replace("render:x:105:", "render:x:997:")
    found = groups_of(tmp_path, Unit(user="edge-pose", groups=("video",)), groups=listed)
    assert found.state == "ok"


def test_a_group_that_the_machine_does_not_have_is_not_missed(tmp_path: Path) -> None:
    assert groups_of(tmp_path, groups="video:x:44:\n") == Finding("groups", "ok", "ada is in video")
    assert groups_of(tmp_path, groups="wheel:x:10:\n").found == "ada is in all there are"
    assert groups_of(tmp_path / "none", groups="").state == "unknown"


def test_root_needs_no_groups(tmp_path: Path) -> None:
    assert groups_of(tmp_path, Unit(user="root")).state == "ok"
