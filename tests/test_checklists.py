"""The checklists of CONTRIBUTING.md: a part that was added is in every place that lists parts of its kind."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from edge.cli import BUG_CODE
from edge.config import Config
from edge.config.source import SourceKind, parse_source
from edge.config.text import default_text
from edge.errors import EdgeError, UsageError
from edge.models.entry import SOURCE_KINDS, EntryTable
from edge.payload import Message, schemas
from edge.tflite.notes import Notes
from pages import MANUAL, PROJECT, command_of, commands, section, subcommands

ARCHITECTURE = PROJECT / "docs/architecture.md"
KINDS: tuple[str, ...] = get_args(SourceKind)

every_kind = pytest.mark.parametrize("kind", KINDS)


def contracts() -> dict[str, dict[str, Any]]:
    """Return the contracts of import-linter by name."""
    tables = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return {table["name"]: table for table in tables}


def modules(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}


def packages(folder: Path) -> set[Path]:
    """Return the packages below a folder, itself left out."""
    return {path.parent.relative_to(folder) for path in folder.rglob("__init__.py")} - {Path()}


# --- kinds of source ---------------------------------------------------------------------------------------

SPELLED = {
    "scene": r"\bscene\b",
    "video": r"video file|file\.mp4",
    "images": r"\bfolder\b",
    "stream": r"rtsp://",
    "v4l2": r"/dev/video0",
    "pi": r"\bpi\b",
}
"""How users write a source of each kind."""


def help_of_run() -> str:
    return command_of(["run"]).format_help().partition("SRC is one of")[2].partition("\n\n")[0]


def help_of_the_key() -> str:
    return default_text().partition("\n#source = ")[0].rpartition("\n")[2]


def error_of_parse_source() -> str:
    with pytest.raises(UsageError) as caught:
        parse_source("")
    return str(caught.value)


def table_of_the_docs() -> str:
    rows = re.findall(r"^\| (.+?) \|", (PROJECT / "docs/cameras.md").read_text(), re.MULTILINE)
    return "\n".join(rows)


@every_kind
@pytest.mark.parametrize("text", [help_of_run, help_of_the_key, error_of_parse_source, table_of_the_docs])
def test_every_kind_of_source_is_in_the_texts_that_list_them(kind: str, text: Any) -> None:
    assert kind in SPELLED, "say there how users write it"
    assert re.search(SPELLED[kind], text()), text.__name__


def test_every_kind_of_source_has_a_driver_of_its_name_that_knows_no_other() -> None:
    independent = contracts()["drivers of cameras do not know one another"]["modules"]
    assert {module.removeprefix("edge.camera.") for module in independent} == set(KINDS)


@every_kind
def test_every_driver_of_a_camera_is_in_a_test_of_the_contract(kind: str) -> None:
    tests = [path.read_text() for path in (PROJECT / "tests/camera").rglob("test_*contract.py")]
    named = any(re.search(rf"^from edge\.camera\.{kind}\b", text, re.MULTILINE) for text in tests)
    assert named or kind == "stream"  # a stream's wait ends by its own deadline, see tests/camera/test_stream.py


# --- config ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [field.encode_name for field in msgspec.structs.fields(Config)])
def test_every_table_of_the_config_is_in_the_docs(table: str) -> None:
    docs = "\n".join(page.read_text() for page in PROJECT.glob("docs/*.md"))
    keys = "|".join(field.encode_name for field in msgspec.structs.fields(getattr(Config(), table).__class__))
    assert re.search(rf"\b{table}\.({keys})\b", docs)


# --- kinds of model ----------------------------------------------------------------------------------------


def test_manifest_files_and_docs_know_the_same_kinds_of_model() -> None:
    runnable = set(get_args(get_type_hints(Notes)["kind"]))
    assert set(get_args(get_type_hints(EntryTable)["kind"])) == runnable | set(SOURCE_KINDS)
    (row,) = re.findall(r"^\| `kind` \|(.+)", (PROJECT / "docs/models.md").read_text(), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == runnable | set(SOURCE_KINDS)


# --- messages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", schemas())
def test_every_field_of_a_message_is_in_the_docs(topic: str) -> None:
    page = PROJECT / "docs/messages.md"
    fields = {name for struct in schemas()[topic]["$defs"].values() for name in struct["properties"]}
    common = {field.encode_name for field in msgspec.structs.fields(Message)} | {"time"}
    named = set(re.findall(r"`(\w+)`", section(page, f"`{topic}`")))
    assert fields - common <= named
    assert common <= set(re.findall(r"`(\w+)`", page.read_text()))


# --- commands and exit codes -------------------------------------------------------------------------------


def all_commands(words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command that does something."""
    below = subcommands(command_of(list(words)))
    if not below:
        yield words
    for name in below:
        yield from all_commands((*words, name))


@pytest.mark.parametrize("words", list(all_commands()), ids=" ".join)
def test_every_command_is_in_the_docs(words: tuple[str, ...]) -> None:
    written = (command for page in MANUAL for command in commands(page))
    assert any(tuple(command[: len(words)]) == words for command in written)


def exit_codes(kind: type[EdgeError] = EdgeError) -> set[int]:
    """Return the exit codes of an error and of all errors derived from it."""
    return {kind.exit_code}.union(*(exit_codes(below) for below in kind.__subclasses__()))


def test_the_docs_and_the_help_of_run_list_every_exit_code() -> None:
    codes = exit_codes() | {0, BUG_CODE}
    table = section(PROJECT / "docs/operate.md", "Exit codes")
    assert codes == {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    text = " ".join(command_of(["run"]).format_help().split()).partition("exit codes: ")[2]
    assert codes == {int(code) for code in re.findall(r"(?:^|; )(\d+) ", text)}


# --- the doctor --------------------------------------------------------------------------------------------


def test_the_doctor_calls_every_check() -> None:
    folder = PROJECT / "edge/commands/doctor"
    trees = [ast.parse(path.read_text()) for path in folder.rglob("*.py")]
    functions = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    called = set(re.findall(r"\b(check_\w+)\(", (folder / "checkup.py").read_text()))
    assert {name for name in functions if name.startswith("check_")} == called


# --- the map -----------------------------------------------------------------------------------------------


def block(title: str) -> str:
    """Return the first indented block in a section of docs/architecture.md."""
    found = re.search(r"(?:^ {4}.*\n|\n(?= {4}))+", section(ARCHITECTURE, title), re.MULTILINE)
    assert found
    return found[0]


def test_every_room_and_module_of_the_top_level_is_in_the_tree() -> None:
    tree = block("The tree")
    missing = {folder for folder in packages(PROJECT / "edge") if f"{folder.name}/" not in tree}
    assert not missing
    assert {module for module in modules(PROJECT / "edge") if f"{module}.py" not in tree} == set()


def test_the_layers_in_the_docs_are_those_that_are_checked() -> None:
    layers = contracts()["imports go downward only"]["layers"]
    assert [line.strip() for line in block("Layers").strip().splitlines()] == layers


def test_every_tool_is_in_the_table_of_the_docs() -> None:
    sources = (path.read_text() for path in (PROJECT / "tools").rglob("*.py"))
    tools = {name for source in sources for name in re.findall(r'\bParser\("([\w.]+)"', source)}
    assert tools
    assert tools <= set(re.findall(r"`python -m tools\.([\w.]+)`", section(ARCHITECTURE, "Tools")))
