"""The pages for people: links lead somewhere, and commands, targets and files exist."""

import re
from pathlib import Path

import pytest

from pages import FENCE, MANUAL, PROJECT, code, command_of, commands, prose, targets_of_make

PAGES = [*MANUAL, PROJECT / "CHANGELOG.md"]

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TARGET = re.compile(r"\bmake +([a-z][\w-]*)")
MODULE = re.compile(r"python -m (tools(?:\.\w+)+)")
FILE = re.compile(r"(?<![\w/.])((?:edge|tools|tests|systemd)/[\w/.@-]+\.\w+)")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
every_manual_page = pytest.mark.parametrize("page", MANUAL, ids=lambda page: str(page.relative_to(PROJECT)))


def anchors(page: Path) -> set[str]:
    """Return what `#…` may name in a page, by GitHub's rule."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 180


@every_page
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), link


def test_the_readme_links_to_every_page_of_the_docs() -> None:
    links = LINK.findall(prose(PROJECT / "README.md"))
    assert {f"docs/{page.name}" for page in PROJECT.glob("docs/*.md")} <= {link.partition("#")[0] for link in links}


@every_manual_page
def test_every_command_exists_with_its_flags(page: Path) -> None:
    for words in commands(page):
        known = command_of(words)._option_string_actions
        flags = [word.partition("=")[0] for word in words if word.startswith("--")]
        assert set(flags) <= set(known), f"edge-pose {' '.join(words)}"


def test_commands_are_found_in_the_readme() -> None:
    assert ["watch"] in list(commands(PROJECT / "README.md"))


@every_manual_page
def test_every_target_of_make_exists(page: Path) -> None:
    assert set(TARGET.findall(code(page))) <= targets_of_make()


@every_manual_page
def test_every_tool_and_file_exists(page: Path) -> None:
    text = COMMENT.sub("", page.read_text())
    modules = [PROJECT / module.replace(".", "/") for module in MODULE.findall(text)]
    files = [PROJECT / file for file in FILE.findall(text)]
    missing = [
        path for path in modules if not (path / "__main__.py").is_file() and not path.with_suffix(".py").is_file()
    ]
    missing += [file for file in files if not file.exists()]
    assert not missing
