"""Checks that TFLite runtime, NumPy, OpenCV and picamera2 work together."""

import shlex
from typing import Any

from edge.commands.doctor.finding import Finding, ok, problem, unknown, warning
from edge.commands.doctor.host import Host
from edge.commands.doctor.run_probe import run_probe
from edge.host.files import read_text

__all__ = ["check_opencv", "check_picamera2", "check_runtime", "pip"]

APT_PICAMERA2 = "/usr/lib/python3/dist-packages/picamera2"


def check_runtime(host: Host) -> Finding:
    """Check the TFLite runtime by an inference.

    A runtime built for another NumPy can be imported and fails only there.
    """
    facts = run_probe(host, "runtime")
    kind, error = facts.get("kind", ""), str(facts.get("error", ""))
    if not kind:
        return ok("runtime", f"{facts.get('runtime')} with NumPy {facts.get('numpy')}")
    if kind == "ModuleNotFoundError":
        return problem("runtime", f"no TFLite runtime ({error})", pip(host, "install ai-edge-litert"))
    if kind == "hang":
        return unknown("runtime", f"the TFLite runtime could not be tried: {error}")
    if _is_numpy_mismatch(error) or kind == "construct":
        what = f"{facts.get('runtime', 'the TFLite runtime')} does not work with NumPy {facts.get('numpy', '')}".strip()
        return problem("runtime", f"{what}: {error}", _other_numpy(host, facts))
    again = pip(host, "install --force-reinstall ai-edge-litert")
    if kind == "crash":
        return problem("runtime", f"the TFLite runtime crashes when it is used ({error})", again)
    return problem("runtime", f"the TFLite runtime cannot be loaded: {error}", again)


def check_opencv(host: Host) -> Finding:
    """Check that OpenCV can be imported."""
    facts = run_probe(host, "module", "cv2")
    kind, error = facts.get("kind", ""), str(facts.get("error", ""))
    if not kind:
        return ok("opencv", str(facts.get("version")))
    if kind == "hang":
        return unknown("opencv", f"OpenCV could not be tried: {error}")
    if _is_numpy_mismatch(error):
        found = f"OpenCV does not work with this NumPy: {error}"
        return problem("opencv", found, pip(host, "install --upgrade opencv-python-headless numpy"))
    found = f"OpenCV crashes ({error})" if kind == "crash" else f"OpenCV cannot be loaded: {error}"
    return problem("opencv", found, pip(host, "install --force-reinstall opencv-python-headless"))


def check_picamera2(host: Host, *, wanted: bool) -> Finding:
    """Check that this Python finds picamera2.

    It comes from apt, outside of a virtual environment.

    Args:
        host: the machine.
        wanted: whether a camera of the Raspberry Pi is connected or configured.
    """
    facts = run_probe(host, "module", "picamera2")
    kind, error = facts.get("kind", ""), str(facts.get("error", ""))
    judge = problem if wanted else warning
    if not kind:
        return ok("picamera2", f"{facts.get('version') or ''} {facts.get('file') or ''}".strip())
    if _is_numpy_mismatch(error):
        found = f"picamera2 was built for NumPy 1: {error}"
        return judge("picamera2", found, pip(host, "install 'numpy<2' 'opencv-python-headless<4.12'"))
    if kind != "ModuleNotFoundError":
        return judge(
            "picamera2", f"picamera2 cannot be loaded: {error}", "sudo apt install --reinstall python3-picamera2"
        )
    if host.exists(APT_PICAMERA2) and not _sees_system(host):
        config = shlex.quote(str(host.python.prefix / "pyvenv.cfg"))
        found = f"picamera2 of apt is not visible from {host.python.prefix}, made without --system-site-packages"
        return judge(
            "picamera2",
            found,
            f"sudo sed -i 's/^include-system-site-packages.*/include-system-site-packages = true/' {config}",
        )
    if not host.is_pi and not wanted:
        return unknown("picamera2", "not installed; only a Raspberry Pi's own cameras need it")
    return judge("picamera2", f"not installed ({error})", "sudo apt install --no-install-recommends python3-picamera2")


def _sees_system(host: Host) -> bool:
    """Return whether this Python sees the packages of apt."""
    config = read_text(host.python.prefix / "pyvenv.cfg")
    return "include-system-site-packages = false" not in config


def _is_numpy_mismatch(error: str) -> bool:
    """Return whether an extension module was built for another NumPy."""
    signs = (
        "numpy.dtype size changed",
        "compiled using NumPy 1",
        "numpy.core.multiarray failed",
        "_ARRAY_API not found",
    )
    return any(sign in error for sign in signs)


def pip(host: Host, words: str) -> str:
    """Return the pip command for this program's environment."""
    sudo = "" if host.user.uid == 0 or host.may_use(host.python.prefix) else "sudo "
    return f"{sudo}{shlex.quote(host.python.executable)} -m pip {words}"


def _other_numpy(host: Host, facts: dict[str, Any]) -> str:
    if str(facts.get("runtime", "")).startswith("tflite"):
        return f"{pip(host, 'install ai-edge-litert')} (or 'numpy<2')"
    return pip(host, "install --upgrade --force-reinstall ai-edge-litert numpy")
