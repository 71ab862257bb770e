"""Formats one device as text: heading, card, list line, summary. Pure."""

from edge.commands.watch.device import Connection, Device
from edge.commands.watch.text import columns_of, duration, pad

__all__ = ["COLOURS", "card", "heading", "list_line", "list_title", "paint", "summary"]

_Span = tuple[str, str]
"""Clean text, and the ANSI code (SGR) of its colour; empty for none."""

COLOURS = {"online": "32", "degraded": "33", "offline": "31"}
NOTE_COLOUR = "33"
DOT = " · "
NAME_MAX_COLUMNS = 28
NAME_MIN_COLUMNS = 12
COLUMN_TITLES = (("PEOPLE", 6), ("FPS", 6), ("LATENCY", 8), ("TEMP", 6), ("ENGINE", 14), ("VERSION", 9))
STATE_COLUMNS = 9
SINCE_COLUMNS = 10


def paint(spans: list[_Span], columns: int, *, colour: bool) -> str:
    """Join spans into a line of exactly `columns`, cut or filled."""
    line, left = "", columns
    for text, code in spans:
        shown = pad(text, min(left, columns_of(text)))
        left -= columns_of(shown)
        line += f"\x1b[{code}m{shown}\x1b[0m" if colour and code and shown else shown
    return line + " " * left


def _state_word(device: Device) -> str:
    """Return the state in a word."""
    return device.state or "no status"


def heading(device: Device, connection: Connection, *, now_s: float, wall_s: float, mark: str = "") -> list[_Span]:
    """Return the heading: name, state, since when and why, notes."""
    spans = [(f"{mark}{device.label}  ", ""), (_state_word(device), COLOURS.get(device.state, NOTE_COLOUR))]
    if device.since_s is not None:
        spans.append((f" for {duration(wall_s - device.since_s)}", ""))
    if device.reason:
        spans.append((f"{DOT}{device.reason}", ""))
    notes = device.notes(now_s, connection)
    return [*spans, (DOT + "; ".join(notes), NOTE_COLOUR)] if notes else spans


def card(device: Device, *, now_s: float) -> list[str]:
    """Return the other facts about a device, one line per kind."""
    groups = [_seen(device, now_s), _pace(device, now_s), _work(device), _machine(device), _origin(device, now_s)]
    return [DOT.join(group) for group in groups if group]


def _seen(device: Device, now_s: float) -> list[str]:
    latest = device.latest_poses(now_s)
    size = f" {latest.size[0]}x{latest.size[1]}" if latest else ""
    camera = [f"camera {device.camera}{size}"] if device.camera else []
    return [*camera, _people(device)]


def _people(device: Device) -> str:
    if device.count is None:
        return "people: unknown"
    ids = f": id {' '.join(map(str, device.ids))}" if device.ids else ""
    return f"{device.count} {'person' if device.count == 1 else 'people'}{ids}"


def _pace(device: Device, now_s: float) -> list[str]:
    fps, latest = device.fps(now_s), device.latest_poses(now_s)
    found = [] if fps is None else [f"{fps:.1f} fps"]
    if latest:
        found.append(f"age {latest.age_ms:.0f} ms")
    return found + _latency(device)


def _latency(device: Device) -> list[str]:
    p50_ms, p95_ms = device.metrics.p50_ms, device.metrics.p95_ms
    if p50_ms is None:
        return []
    return [f"latency p50 {p50_ms:.0f}" + ("" if p95_ms is None else f" p95 {p95_ms:.0f}") + " ms"]


def _work(device: Device) -> list[str]:
    metrics = device.metrics
    drops = ", ".join(f"{place} {count}" for place, count in metrics.drops.items() if count)
    dropped = [f"dropped: {drops or 'nothing'}"] if metrics.drops else []
    return ([f"inference {_inference(device)}"] if _inference(device) else []) + dropped


def _inference(device: Device) -> str:
    metrics = device.metrics
    spent = "" if metrics.inference_ms is None else f"{metrics.inference_ms:.1f} ms"
    return " ".join(filter(None, (spent, f"on {metrics.engine}" if metrics.engine else "")))


def _machine(device: Device) -> list[str]:
    metrics = device.metrics
    found = [] if metrics.temperature_c is None else [f"{metrics.temperature_c:.0f} °C"]
    found += metrics.slowdowns
    found += ["clock not set"] if metrics.clock_unset else []
    return found if metrics.uptime_s is None else [*found, f"up {duration(metrics.uptime_s)}"]


def _origin(device: Device, now_s: float) -> list[str]:
    metrics = device.metrics
    found = [f"edge-pose {metrics.version}"] if metrics.version else []
    found += [metrics.model] if metrics.model else []
    return found if device.heard_s is None else [*found, f"heard {duration(now_s - device.heard_s)} ago"]


def summary(device: Device, connection: Connection, *, now_s: float) -> str:
    """Return all facts in one line, for a log or a pipe."""
    reason = f" ({device.reason})" if device.reason else ""
    parts = [f"{device.label} {_state_word(device)}{reason}"]
    if device.state != "offline":
        parts += [_people(device)] if device.count is not None else []
        parts += [*_pace(device, now_s), *_work(device), *_machine(device)]
    return ", ".join([*parts, *device.notes(now_s, connection)])


def name_columns(columns: int) -> int:
    """Return the width of a list's names in a window of `columns`."""
    return min(max(columns - 62, NAME_MIN_COLUMNS), NAME_MAX_COLUMNS)


def list_title(columns: int) -> str:
    """Return the title line of a list."""
    first = f"  {pad('DEVICE', name_columns(columns))} {pad('STATE', STATE_COLUMNS)} {pad('FOR', SINCE_COLUMNS)}"
    return pad(first + _cells([title for title, _ in COLUMN_TITLES], columns - columns_of(first)), columns)


def list_line(
    device: Device, connection: Connection, *, columns: int, mark: str, now_s: float, wall_s: float, colour: bool
) -> str:
    """Return a device's list line: its metrics, or what is wrong in their place."""
    since = "" if device.since_s is None else duration(wall_s - device.since_s)
    silence, notes = device.silence(now_s, connection), device.notes(now_s, connection)
    word = f"{_state_word(device)} !" if notes and not silence else _state_word(device)
    head = [
        (f"{pad(mark, 2)}{pad(device.label, name_columns(columns))} ", ""),
        (pad(word, STATE_COLUMNS), COLOURS.get(device.state, NOTE_COLOUR)),
        (f" {pad(since, SINCE_COLUMNS)}", ""),
    ]
    room = columns - sum(columns_of(text) for text, _ in head)
    if silence or device.reason or device.state == "offline":
        rest: _Span = (f" {'; '.join(filter(None, (device.reason, *notes)))}", NOTE_COLOUR)
    else:
        rest = (_cells(_values(device, now_s), room), "")
    return paint([*head, rest], columns, colour=colour)


def _values(device: Device, now_s: float) -> list[str]:
    metrics, fps = device.metrics, device.fps(now_s)
    spent = "" if metrics.inference_ms is None else f"{metrics.inference_ms:.0f} ms"
    return [
        "-" if device.count is None else str(device.count),
        "" if fps is None else f"{fps:.1f}",
        "" if metrics.p50_ms is None else f"{metrics.p50_ms:.0f} ms",
        "" if metrics.temperature_c is None else f"{metrics.temperature_c:.0f} °C",
        f"{metrics.engine} {spent}".strip(),
        metrics.version,
    ]


def _cells(values: list[str], room: int) -> str:
    """Return as many columns of a list as fit into the room."""
    line = ""
    for value, (_, width) in zip(values, COLUMN_TITLES, strict=True):
        if columns_of(line) + 1 + width > room:
            break
        line += f" {pad(value, width, right=True)}"
    return line
