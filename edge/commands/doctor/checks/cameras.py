"""Checks the cameras, each with the SRC for `--camera`."""

import errno
import re
from pathlib import PurePosixPath

from edge.camera.v4l2.device import PI_DRIVERS
from edge.commands.doctor.finding import Finding, ok, problem, unknown, warning
from edge.commands.doctor.host import Host

__all__ = ["check_configured_camera", "check_pi_cameras", "check_video_nodes"]

NOT_CAMERAS = (*PI_DRIVERS, "bcm2835-codec", "rpi-hevc-dec", "rpivid")
"""Drivers of Raspberry Pi nodes that report capture but are no cameras; libcamera reads the Pi's own cameras."""
OURS = "edge-pose"
HIDDEN_PROGRAM = "a program that this user cannot see"
LIST_CAMERAS = ("rpicam-hello", "libcamera-hello")
"""The command of Raspberry Pi OS, and its name until 2023."""
LISTED = re.compile(r"^\s*(\d+) : (\S+) \[([^\]]*)\]", re.MULTILINE)


def check_video_nodes(host: Host) -> list[Finding]:
    """Check every V4L2 camera: name, permanent SRC, who uses it."""
    found = [_check_node(host, name) for name in sorted(_video_nodes(host), key=_number)]
    return [finding for finding in found if finding is not None]


def _check_node(host: Host, name: str) -> Finding | None:
    """Return the finding about a node; None if it is no camera."""
    label = host.text(f"/sys/class/video4linux/{name}/name")
    if label.startswith(NOT_CAMERAS):
        return None
    node, source = f"/dev/{name}", _source(host, name)
    try:
        queried = host.query_node(host.path(node))
    except OSError as error:
        # Most cameras have a second node, for metadata.
        is_first = host.text(f"/sys/class/video4linux/{name}/index") in ("", "0")
        return _explain(host, node, label, source, error) if is_first else None
    if not queried.captures or queried.driver.startswith(NOT_CAMERAS):
        return None
    text = f"{queried.card or label} ({queried.driver}, {node})"
    return _judge_use(host, node, text, source, is_busy=queried.is_busy)


def _judge_use(host: Host, node: str, text: str, source: str, *, is_busy: bool) -> Finding:
    """Report who streams from a camera.

    This program may stream; others may hold it open without streaming.
    """
    users = host.holders(node)
    strangers = [str(holder.pid) for holder in users if holder.command != OURS]
    named = ", ".join(map(str, users))
    if not is_busy:
        return ok("camera", f"{text}, open and idle in {named}" if users else text, source)
    if not users:
        return warning("camera", f"{text}, in use by {HIDDEN_PROGRAM}", "sudo edge-pose doctor", source)
    if strangers:
        return warning("camera", f"{text}, in use by {named}", f"sudo kill {' '.join(strangers)}", source)
    return ok("camera", f"{text}, in use by {named}", source)


def _explain(host: Host, node: str, label: str, source: str, error: OSError) -> Finding:
    text = f"{label or 'a video device'} ({node})"
    if error.errno in (errno.EACCES, errno.EPERM):
        fix = f"sudo usermod -aG video {host.user.name}, then log in again"
        return problem("camera", f"{text} may not be opened by {host.user.name}", fix, source)
    if error.errno == errno.EBUSY:
        return _judge_use(host, node, text, source, is_busy=True)
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return warning("camera", f"{text} is known to the kernel but not connected", "plug it in again", source)
    return unknown("camera", f"{text} cannot be queried: {error.strerror or error}", subject=source)


def _video_nodes(host: Host) -> set[str]:
    names = {*host.names("/sys/class/video4linux"), *host.names("/dev")}
    return {name for name in names if re.fullmatch(r"video[0-9]+", name)}


def _number(name: str) -> int:
    return int(name.removeprefix("video"))


def _source(host: Host, name: str) -> str:
    """Return the SRC: by id, which survives a move to another port, else by port, else the node."""
    for folder in ("/dev/v4l/by-id", "/dev/v4l/by-path"):
        for link in host.names(folder):
            if PurePosixPath(host.link(f"{folder}/{link}")).name == name:
                return f"{folder}/{link}"
    return f"/dev/{name}"


def check_pi_cameras(host: Host, *, wanted: bool) -> list[Finding]:
    """Check the cameras on a Raspberry Pi's ribbon cables, by libcamera.

    Args:
        host: the machine.
        wanted: whether the config asks for one.
    """
    for command in LIST_CAMERAS:
        ran = host.run((command, "--list-cameras"))
        if ran.code is not None:
            break
    else:
        return _no_command(host, wanted=wanted)
    listed = LISTED.findall(f"{ran.out}\n{ran.err}")
    if listed:
        return [ok("pi-camera", f"{model} [{modes}]", f"pi:{number}") for number, model, modes in listed]
    if ran.code != 0:
        last = (ran.err.strip().splitlines() or ["no output"])[-1]
        return [unknown("pi-camera", f"{command} failed: {last}", f"{command} --list-cameras")]
    return [_no_camera(wanted=wanted)] if host.is_pi or wanted else []


def _no_command(host: Host, *, wanted: bool) -> list[Finding]:
    if not host.is_pi and not wanted:
        return []
    fix = "sudo apt install --no-install-recommends rpicam-apps-lite && rpicam-hello --list-cameras"
    judge = warning if wanted else unknown
    return [judge("pi-camera", "the Pi's own cameras cannot be listed: rpicam-hello is not installed", fix)]


def _no_camera(*, wanted: bool) -> Finding:
    if not wanted:
        return unknown("pi-camera", "none on the ribbon cable")
    fix = "switch off, seat the ribbon cable again at both ends, then: rpicam-hello --list-cameras"
    return problem("pi-camera", "no camera on the ribbon cable, and camera.source asks for one", fix)


def check_configured_camera(host: Host, source: str) -> list[Finding]:
    """Check that the V4L2 camera of the config exists."""
    if not source.startswith("/dev/") or host.exists(source):
        return []
    fix = "plug it in, or take the SRC of another one from this list: camera.source"
    return [problem("camera", "camera.source is not there", fix, source)]
