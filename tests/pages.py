"""The pages that people read, and what stands in their code."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from edge.commands.arguments import parser

PROJECT = Path(__file__).parent.parent
GUIDES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", PROJECT / "SECURITY.md"]
MANUAL = [*GUIDES, *sorted(PROJECT.glob("docs/*.md")), *sorted(PROJECT.glob("models/*.md"))]

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4}.*\n", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
COMMAND = re.compile(r"(?:^|[|&(] *|sudo |/bin/)edge-pose +(?!\d)([^\n|;#&)]+)", re.MULTILINE)


def prose(page: Path) -> str:
    """Return a page without its code."""
    return SPAN.sub("", INDENTED.sub("", FENCE.sub("", page.read_text())))


def code(page: Path) -> str:
    """Return the code blocks and code spans of a page, each on lines of its own."""
    text = page.read_text()
    rest = FENCE.sub("", text)
    spans = [span.replace("\n", " ") for span in SPAN.findall(INDENTED.sub("", rest))]
    blocks = [*FENCE.findall(text), *(line.strip() + "\n" for line in INDENTED.findall(rest))]
    return "".join(blocks).replace("\\\n", " ") + "\n" + "\n".join(spans)


def section(page: Path, title: str) -> str:
    """Return the part of a page under the second-level heading that holds `title`."""
    parts = re.split(r"^## +(.+)\n", page.read_text(), flags=re.MULTILINE)[1:]
    (found,) = [text for heading, text in zip(parts[::2], parts[1::2], strict=True) if title in heading]
    return found


def command_of(words: list[str]) -> argparse.ArgumentParser:
    """Return the parser of the deepest subcommand that `words` begin with."""
    found = parser()
    for word in words:
        choices = subcommands(found)
        if not choices or word.startswith("-"):
            return found
        assert word in choices, f"edge-pose {' '.join(words)}: there is no {word}"
        found = choices[word]
    return found


def subcommands(command: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of the commands one level below."""
    return next((dict(action.choices) for action in command._actions if isinstance(action.choices, dict)), {})


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words after `edge-pose` of every command in a page's code."""
    for text in COMMAND.findall(code(page)):
        yield text.split()


def targets_of_make() -> set[str]:
    """Return the names of what `make` can make."""
    return set(re.findall(r"^([a-z][\w-]*):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
