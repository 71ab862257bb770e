"""Lays out the page of `edge-pose watch`. Pure.

Devices are cards while they fit, else a list with one card.
"""

from dataclasses import dataclass

from edge.commands.terminal.braille import columns_within, draw_people
from edge.commands.watch.device import Device
from edge.commands.watch.devices import Devices
from edge.commands.watch.lines import card, heading, list_line, list_title, paint
from edge.commands.watch.text import columns_of, cut, pad

__all__ = ["Page", "Viewport", "card_lines", "page"]

CARD_ROWS = 7
"""Of one device among others: heading, five lines, an empty one."""
CARD_COLUMNS = 46
"""For the words of a card with a drawing beside them."""
SMALL_DRAWING_COLUMNS = 32
MIN_DRAWING_ROWS = 3
LIST_WITH_CARD_ROWS = 15
"""A body of fewer rows is a list without a card."""
BANNER_COLOUR = "31"
KEYS_ONE = "q quit"
KEYS_CARDS = "up/down or j/k choose · enter alone · q quit"
KEYS_LIST = "up/down or j/k choose · space/b page · g/G ends · enter alone · q quit"
KEYS_ALONE = "up/down or j/k next device · enter all · q quit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewport:
    """Size of the window and what to show in it.

    Attributes:
        columns: width of the window.
        rows: height of the window.
        broker: its address, without secrets.
        now_s: time on the clock of the devices' times.
        wall_s: seconds since the epoch.
        selected: name of the selected device; None for the first.
        alone: show only that one.
        colour: with ANSI colours.
    """

    columns: int
    rows: int
    broker: str
    now_s: float
    wall_s: float
    selected: str | None = None
    alone: bool = False
    colour: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Lines of a page, and the devices drawn in it.

    Attributes:
        lines: at most as many as the window has.
        drawn: names of the devices whose poses are shown.
    """

    lines: list[str]
    drawn: frozenset[str]


def page(devices: Devices, view: Viewport) -> Page:
    """Lay out the page for one window."""
    ordered = devices.ordered(view.now_s)
    at = next((i for i, device in enumerate(ordered) if device.name == view.selected), 0)
    head = _head(devices, view)
    rows = max(view.rows - len(head) - 1, 1)
    if not ordered:
        body, drawn, keys = ["", cut("no message from any device yet", view.columns)], [], KEYS_ONE
    elif view.alone or len(ordered) == 1:
        body, drawn, keys = card_lines(ordered[at], devices, view, rows), [ordered[at]], KEYS_ALONE
    elif len(ordered) * CARD_ROWS <= rows:
        body, drawn, keys = _cards(ordered, at, devices, view, rows), ordered, KEYS_CARDS
    else:
        body, drawn, keys = _list(ordered, at, devices, view, rows), [ordered[at]], KEYS_LIST
    keys = KEYS_ONE if len(ordered) == 1 else keys
    body = [*body[:rows], *[""] * (rows - len(body))]
    lines = [*head, *body, cut(keys, view.columns)]
    return Page(lines[: view.rows], frozenset(device.name for device in drawn))


def _head(devices: Devices, view: Viewport) -> list[str]:
    words = [f"{len(devices)} device{'' if len(devices) == 1 else 's'}"]
    words += [f"{count} {state}" for state, count in devices.counts().items()]
    words += [f"{devices.left_out} messages of further devices left out"] if devices.left_out else []
    left = ", ".join(words)
    room = view.columns - columns_of(left) - 2
    lines = [f"{left}  {pad(view.broker, room, right=True)}" if room > 10 else cut(left, view.columns)]
    if not devices.connection.up:
        reason = f" ({devices.connection.reason})" if devices.connection.reason else ""
        lines.append(paint([(f"broker gone, retrying{reason}", BANNER_COLOUR)], view.columns, colour=view.colour))
    return lines


def _cards(ordered: list[Device], at: int, devices: Devices, view: Viewport, rows: int) -> list[str]:
    each = rows // len(ordered)
    lines: list[str] = []
    for i, device in enumerate(ordered):
        mark = "> " if i == at else "  "
        block = card_lines(device, devices, view, each - 1, mark=mark)
        lines += [*block, *[""] * (each - len(block))]
    return lines


def _list(ordered: list[Device], at: int, devices: Devices, view: Viewport, rows: int) -> list[str]:
    with_card = rows >= LIST_WITH_CARD_ROWS
    room = rows - 1 - (CARD_ROWS if with_card else 0)
    # The selected line stays in the middle, so that its neighbours are visible.
    first = min(max(at - room // 2, 0), max(len(ordered) - room, 0))
    lines = [list_title(view.columns)]
    for i, device in enumerate(ordered[first : first + room], first):
        lines.append(
            list_line(
                device,
                devices.connection,
                columns=view.columns,
                mark=">" if i == at else "",
                now_s=view.now_s,
                wall_s=view.wall_s,
                colour=view.colour,
            )
        )
    lines += [""] * (1 + room - len(lines))
    return [*lines, "", *card_lines(ordered[at], devices, view, CARD_ROWS - 1)] if with_card else lines


def card_lines(device: Device, devices: Devices, view: Viewport, rows: int, *, mark: str = "") -> list[str]:
    """Return one device in at most `rows` lines: words and a drawing.

    The drawing is below or beside the words, as there is room.
    """
    device.latest_poses(view.now_s)  # decoded first: the title has a note if that fails
    title = paint(
        heading(device, devices.connection, now_s=view.now_s, wall_s=view.wall_s, mark=mark),
        view.columns,
        colour=view.colour,
    )
    indent = " " * columns_of(mark)
    words = [f"{indent}{text}" for text in card(device, now_s=view.now_s)][: max(rows - 1, 0)]
    below = rows - 1 - len(words)
    if below > CARD_ROWS:
        columns, drawing = _drawing(device, view, columns=view.columns - 2, rows=below - 2)
        return [title, *(cut(text, view.columns) for text in words), *(_framed(drawing, columns) if drawing else [])]
    beside = min(SMALL_DRAWING_COLUMNS, view.columns - CARD_COLUMNS)
    columns, drawing = _drawing(device, view, columns=beside, rows=rows - 1)
    return [title, *_side_by_side(words, drawing, columns, view)][: max(rows, 1)]


def _drawing(device: Device, view: Viewport, *, columns: int, rows: int) -> tuple[int, list[str]]:
    """Return width and lines of the drawing; none without a fresh pose or room."""
    latest = device.latest_poses(view.now_s)
    if latest is None or rows < MIN_DRAWING_ROWS:
        return 0, []
    columns = columns_within(latest.size, columns=columns, rows=rows)
    if columns <= 0:
        return 0, []
    return columns, draw_people(latest.poses, columns=columns, size=latest.size, colour=view.colour)


def _framed(drawing: list[str], columns: int) -> list[str]:
    return [f"┌{'─' * columns}┐", *(f"│{line}│" for line in drawing), f"└{'─' * columns}┘"]


def _side_by_side(words: list[str], drawing: list[str], drawn_columns: int, view: Viewport) -> list[str]:
    if not drawing:
        return [cut(text, view.columns) for text in words]
    rows = max(len(words), len(drawing))
    room = view.columns - drawn_columns - 2
    left = [pad(text, room) for text in [*words, *[""] * (rows - len(words))]]
    return [f"{a} │{b}" for a, b in zip(left, [*drawing, *[""] * (rows - len(drawing))], strict=True)]
