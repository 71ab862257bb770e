"""A virtual machine that runs on this machine's own files: Debian's kernel, a small start image, a root over 9p.

Nothing is installed into the guest: it sees this machine's root read-only, and what it writes stays in its memory. So
the project, its environment and Debian's tools are all there. It has no network. It is emulated: virtualization by
hardware is not to be had everywhere, and where it is nested the guest may hang.
"""

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packages import require

__all__ = ["run_in_vm"]

CACHE = Path(tempfile.gettempdir()) / "edge-pose-vm"
PARTS = ("drivers/virtio", "drivers/media", "net/9p", "fs/9p", "fs/netfs", "fs/fscache", "fs/overlayfs")
"""Of the kernel's modules: what the root needs, and cameras."""
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "vivid")
SHARE = "trans=virtio,version=9p2000.L,msize=524288"

INIT = f"""#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc p /proc; $b mount -t sysfs s /sys; $b mount -t devtmpfs d /dev
$b grep -v vivid /modules/order | while read name; do $b insmod /modules/$name; done
$b mount -t 9p -o {SHARE},cache=loose,ro host /lower
$b mount -t tmpfs t /upper; $b mkdir /upper/files /upper/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work o /root
for each in dev proc sys; do $b mount --move /$each /root/$each; done
$b mount -t tmpfs run /root/run; $b mkdir /root/run/out /root/run/modules
$b mount -t 9p -o {SHARE} out /root/run/out
$b cp /modules/* /root/run/modules/
exec $b switch_root /root /bin/sh /run/out/start.sh
"""

START = """exec >/run/out/log 2>&1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
busybox hostname guest
/lib/systemd/systemd-udevd --daemon
{command}
busybox poweroff -f
"""


def run_in_vm(command: Sequence[str | Path], out: Path, *, timeout_s: float) -> str:
    """Boot, run a command as root, and power off.

    Args:
        command: what to run; in the guest `out` is /run/out, and /run/modules/order lists modules to insert.
        out: a folder on this machine that the guest may write into.
        timeout_s: the machine is stopped after so long.

    Returns:
        What the command wrote.
    """
    require("qemu-system-x86", "busybox-static", "cpio", "kmod", "udev")
    kernel = _kernel()
    (out / "start.sh").write_text(START.format(command=shlex.join(str(word) for word in command)))
    image = _start_image(kernel, out)
    (picture,) = (kernel / "boot").glob("vmlinuz-*")
    shares = [
        ("host", "local,path=/,security_model=none,readonly=on,multidevs=remap"),
        ("out", f"local,path={out},security_model=none"),
    ]
    words: list[str | Path] = [
        "qemu-system-x86_64",
        "-M",
        "q35",
        "-accel",
        "tcg",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "1G",
    ]
    words += ["-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{out}/console"]
    words += ["-kernel", picture, "-initrd", image, "-append", "console=ttyS0 quiet panic=-1 mitigations=off"]
    for tag, options in shares:
        words += ["-virtfs", f"{options},mount_tag={tag}"]
    subprocess.run(words, stdin=subprocess.DEVNULL, timeout=timeout_s, check=True)
    return (out / "log").read_text() if (out / "log").exists() else (out / "console").read_text()


def _kernel() -> Path:
    """Return a folder with the kernel's `boot` and the modules we need, fetched once."""
    name = _kernel_package()
    folder = CACHE / name
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as half:
            subprocess.run(["apt-get", "download", "-q", name], cwd=half, check=True)
            (package,) = Path(half).glob("*.deb")
            _unpack(package, Path(half) / "kernel")
            (Path(half) / "kernel").rename(folder)
    return folder


def _kernel_package() -> str:
    """Return the package that Debian's newest kernel is in: its own name tells none."""
    for update in (False, True):
        if update:
            subprocess.run(["apt-get", "update", "-q"], check=True)
        command = ["apt-cache", "depends", "--important", "linux-image-amd64"]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        names = [line.split()[-1] for line in told.splitlines() if "Depends: linux-image-" in line]
        if names:
            return names[0]
    raise RuntimeError("no package linux-image-amd64: is this Debian 12 on x86-64?")


def _unpack(package: Path, folder: Path) -> None:
    folder.mkdir()
    wanted = ["./boot/vmlinuz-*", "./lib/modules/*/modules.*", *(f"./lib/modules/*/kernel/{part}/*" for part in PARTS)]
    with subprocess.Popen(["dpkg", "--fsys-tarfile", package], stdout=subprocess.PIPE) as files:
        subprocess.run(["tar", "-x", "-C", folder, "--wildcards", *wanted], stdin=files.stdout, check=True)
    if files.returncode:
        raise RuntimeError(f"{package} cannot be unpacked")
    subprocess.run(["depmod", "-b", folder, _version(folder)], check=True)


def _version(kernel: Path) -> str:
    (modules,) = (kernel / "lib/modules").iterdir()
    return modules.name


def _start_image(kernel: Path, out: Path) -> Path:
    """Pack busybox, the modules and the init script into an image that the kernel starts from."""
    root, image = out / "start", out / "start.gz"
    for name in ("bin", "proc", "sys", "dev", "modules", "lower", "upper", "root"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    files = _with_dependencies(kernel)
    for file in files:
        shutil.copy(file, root / "modules")
    (root / "modules/order").write_text("".join(f"{file.name}\n" for file in files))
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    pack = f"cd {shlex.quote(str(root))} && find . | cpio --quiet -o -H newc | gzip -1 > {shlex.quote(str(image))}"
    subprocess.run(["/bin/sh", "-c", pack], check=True)
    shutil.rmtree(root)
    return image


def _with_dependencies(kernel: Path) -> list[Path]:
    """Return the modules' files in the order in which they can be inserted."""
    files: dict[Path, None] = {}
    for module in MODULES:
        command: list[str | Path] = ["modprobe", "-d", kernel, "-S", _version(kernel), "--show-depends", module]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        files.update({Path(line.split()[1]): None for line in told.splitlines() if line.startswith("insmod")})
    return list(files)
