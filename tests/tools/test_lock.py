"""Lock files: pins, with a marker only where a package has several versions."""

from tools.repository.lock import FOLDER, LOCKS, _pins


def test_a_marker_stays_only_where_a_package_has_several_versions() -> None:
    lines = ["a==1 ; sys_platform == 'linux'", "b==1 ; python_full_version < '3.12'", "b==2"]
    assert _pins(lines) == "a==1\nb==1 ; python_full_version < '3.12'\nb==2\n"


def test_every_lock_is_of_pins() -> None:
    for lock in LOCKS:
        header, *pins = (FOLDER / lock.name).read_text(encoding="utf-8").splitlines()
        assert header.startswith("# Written by tools/repository/lock.py")
        assert all("==" in pin for pin in pins), lock.name
