"""Docstrings are short and plain."""

import ast
import re
import statistics
from collections.abc import Iterator

from pages import PROJECT

SOURCES = [path for room in ("edge", "tools") for path in sorted((PROJECT / room).rglob("*.py"))]
RIDDLES = re.compile(r"\b(whoever|anew|told)\b", re.IGNORECASE)


def summaries(source: str) -> Iterator[str]:
    """Yield the first line of the docstring of a module and of each public class and function in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            is_public = isinstance(node, ast.Module) or not node.name.startswith("_")
            if is_public and (text := ast.get_docstring(node)):
                yield text.splitlines()[0]


def test_half_of_all_docstrings_begin_with_a_line_of_at_most_ten_words() -> None:
    lengths = [len(line.split()) for path in SOURCES for line in summaries(path.read_text())]
    assert statistics.median(lengths) <= 10


def test_words_that_name_no_act_are_rare() -> None:
    lines = [
        f"{path.relative_to(PROJECT)}: {line.strip()}"
        for path in SOURCES
        for line in path.read_text().splitlines()
        if RIDDLES.search(line)
    ]
    assert lines == []
