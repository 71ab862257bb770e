"""Why a camera cannot be opened, in one line each."""

import getpass
import os
from pathlib import Path

import pytest

from edge.camera.v4l2.device import Capability
from edge.camera.v4l2.open import busy_text, denied_text, main_node, open_node, unusable_text
from edge.errors import CameraLostError


def refusal(path: Path | str) -> str:
    with pytest.raises(CameraLostError) as caught:
        open_node(str(path), (640, 360), 30, prefer_compressed=False)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_camera_that_is_not_there_is_named_by_the_path_that_was_given(tmp_path: Path) -> None:
    link = tmp_path / "usb-Acme-video-index0"
    link.symlink_to("../video7")
    assert refusal(link) == f"{link} is not there"


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_a_device_of_another_kind_is_no_camera(path: str) -> None:
    assert refusal(path) == f"{path} is no camera"


def test_a_folder_is_no_camera(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path} cannot be used: Is a directory"


def test_a_device_that_its_group_may_open_leads_to_the_group(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch()
    node.chmod(0o660)
    group = 4242  # of no name
    if os.geteuid() == 0:
        os.chown(node, 0, group)
    else:
        group = node.stat().st_gid
    said = denied_text("/dev/video0", str(node), groups=())
    assert said.startswith(f"/dev/video0: permission denied: user {getpass.getuser()} is not in group ")
    assert "sudo usermod -aG" in said
    assert os.geteuid() != 0 or f"usermod -aG {group} " in said


def test_a_device_that_no_group_may_open_leads_to_no_group(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch(0o600)
    if os.geteuid() == 0:
        os.chown(node, 0, 4242)
    assert denied_text("/dev/video0", str(node)) == (
        "/dev/video0: permission denied: only its owner may open it (mode 600)"
    )


def test_who_is_in_the_group_already_is_not_sent_into_it(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch()
    said = denied_text("/dev/video0", str(node), groups=[4242, node.stat().st_gid])
    assert "DeviceAllow=" in said
    assert "usermod" not in said


def test_a_refused_device_that_is_gone_in_the_meantime_is_no_crash(tmp_path: Path) -> None:
    assert denied_text("/dev/video0", str(tmp_path / "video0")) == "/dev/video0: permission denied"


def test_a_busy_device_names_who_holds_it_by_pid_and_command(tmp_path: Path) -> None:
    (tmp_path / "1234/fd").mkdir(parents=True)
    (tmp_path / "1234/comm").write_text("ffmpeg\n")
    (tmp_path / "1234/fd/5").symlink_to("/dev/video0")
    assert busy_text("/dev/by-id", "/dev/video0", proc=tmp_path) == "/dev/by-id is busy: held by 1234 (ffmpeg)"


def test_a_busy_device_of_another_user_leads_to_a_command_that_may_look(tmp_path: Path) -> None:
    assert busy_text("/dev/by-id", "/dev/video0", proc=tmp_path).endswith("(sudo fuser -v /dev/video0 names it)")


def product(sysfs: Path, **indexes: int) -> None:
    (sysfs / "../usb").mkdir(exist_ok=True)
    for name, index in indexes.items():
        (sysfs / name).mkdir(parents=True)
        (sysfs / name / "device").symlink_to(sysfs / "../usb")
        (sysfs / name / "index").write_text(f"{index}\n")


def test_a_metadata_node_leads_to_the_camera_of_the_same_product(tmp_path: Path) -> None:
    sysfs = tmp_path / "video4linux"
    sysfs.mkdir()
    product(sysfs, video3=1, video2=0)
    (sysfs / "video0").mkdir()
    assert main_node("video3", sysfs=sysfs) == "/dev/video2"
    assert main_node("video2", sysfs=sysfs) is None
    assert main_node("video9", sysfs=sysfs) is None
    said = unusable_text("/dev/video3", "/dev/video3", Capability("uvcvideo", "Acme", 0), sysfs=sysfs)
    assert said == "/dev/video3 takes no pictures (uvcvideo, metadata or output): its camera is /dev/video2"


def test_the_pis_camera_port_leads_to_its_own_source() -> None:
    said = unusable_text("/dev/video0", "/dev/video0", Capability("unicam", "unicam", 1))
    assert said == "/dev/video0 is a part of the Pi's camera port (unicam): use the source pi"
