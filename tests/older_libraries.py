"""Which test files say the same with every NumPy and OpenCV: what `--older-libraries` leaves out.

A file is left out where all that it can reach by imports is Python's own, the project's, or in `UNCHANGED`, and starts
no other Python. Reached are its own imports, those of its helpers, of its fixtures in conftest.py, of the tools and of
the product, inside functions too. A file that nobody thought of is therefore run.
"""

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

__all__ = ["ANOTHER_PYTHON", "UNCHANGED", "folders", "reached", "says_the_same"]

PROJECT = Path(__file__).parent.parent
UNCHANGED: Mapping[str, str] = {
    "hypothesis": "hypothesis",
    "jsonschema": "jsonschema",
    "msgspec": "msgspec",
    "paho": "paho-mqtt",
    "pytest": "pytest",
}
"""Packages that compute nothing with NumPy, and have one version in all locks: import name -> name in the locks."""
ANOTHER_PYTHON = "another Python"


@cache
def says_the_same(file: Path) -> bool:
    """Return whether a test file cannot notice other versions of NumPy and OpenCV."""
    return reached(file, (*folders(), file.parent)) <= UNCHANGED.keys()


def folders() -> tuple[Path, ...]:
    """Return where Python looks for the modules of this project."""
    environment = Path(sys.prefix)
    known = (Path(entry).resolve() for entry in sys.path)
    ours = (path for path in known if path.is_relative_to(PROJECT) and not path.is_relative_to(environment))
    return (PROJECT, *ours)


def reached(test: Path, where: Sequence[Path]) -> set[str]:
    """Return the packages of others that a test file reaches, and `ANOTHER_PYTHON` where that is started."""
    outside: set[str] = set()
    seen: set[Path] = set()
    found = {test}
    names = set(_fixture_imports(test))
    while found or names:
        for name in names:
            files = _files(name, tuple(where))
            found |= set(files)
            if not files and name.split(".")[0] not in sys.stdlib_module_names:
                outside.add(name.split(".")[0])
        names = set()
        for file in found - seen:
            names |= _imports_of(file)
            outside |= {ANOTHER_PYTHON} if _starts_python(file) else set()
        seen |= found
        found = set()
    return outside


def _fixture_imports(test: Path) -> Iterator[str]:
    """Yield what the fixtures of conftest.py import that the test file, or another fixture, asks for by their names."""
    wanted = _parameters(_tree(test))
    for folder in test.parents:
        conftest = folder / "conftest.py"
        if not conftest.exists():
            continue
        tree = _tree(conftest)
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        bound = {bound: module for node in tree.body for bound, module in _bindings(node)}
        while asked := [functions.pop(name) for name in sorted(wanted & functions.keys())]:
            for function in asked:
                wanted |= _parameters(function)
                yield from _imports(function)
                used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
                yield from (bound[name] for name in used & bound.keys())


def _parameters(tree: ast.AST) -> set[str]:
    """Return the names of all parameters, and all texts: `usefixtures` and `getfixturevalue` take these."""
    names = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return names | {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def _bindings(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each name that an import statement binds, and the module that it makes known."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name.split(".")[0], alias.name
    elif isinstance(node, ast.ImportFrom):
        assert node.module is not None, "an import that is relative"
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _imports(tree: ast.AST) -> set[str]:
    return {module for node in ast.walk(tree) for _, module in _bindings(node)}


@cache
def _imports_of(file: Path) -> frozenset[str]:
    return frozenset(_imports(_tree(file)))


@cache
def _starts_python(file: Path) -> bool:
    attributes = (node for node in ast.walk(_tree(file)) if isinstance(node, ast.Attribute))
    return any(node.attr == "executable" and ast.unparse(node) == "sys.executable" for node in attributes)


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def _files(name: str, where: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the files of this project that an import of a module, or of a name in it, runs."""
    parts = name.split(".")
    found = []
    for count in range(1, len(parts) + 1):
        for folder in where:
            path = folder.joinpath(*parts[:count])
            found += [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()]
    return tuple(found)
