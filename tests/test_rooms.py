"""The rooms of the package stay small enough to be seen at a glance."""

from pathlib import Path

import pytest

from pages import PROJECT

MAX_MODULES, MAX_ROOMS = 12, 26
ROOMS = sorted(path.parent for path in (PROJECT / "edge").rglob("__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(PROJECT)))
def test_a_room_has_at_most_twelve_modules_of_its_own(room: Path) -> None:
    modules = [path for path in room.glob("*.py") if path.stem not in {"__init__", "__main__"}]
    assert len(modules) <= MAX_MODULES


def test_the_package_has_at_most_26_rooms() -> None:
    assert len(ROOMS) <= MAX_ROOMS
