"""The rule by which the run with older libraries leaves test files out."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from older_libraries import ANOTHER_PYTHON, PROJECT, UNCHANGED, folders, reached, says_the_same

LOCKS = PROJECT / "tools/locks"
CHANGED = ("numpy", "cv2", "ml_dtypes", "ai_edge_litert", "flatbuffers", "pycocotools")
TESTS = sorted(
    file
    for file in (PROJECT / "tests").rglob("test_*.py")
    if not {"system", "workstation", "training"} & set(file.relative_to(PROJECT).parts)
)

FILES = {
    "conftest.py": """
import pytest
from helper import thing
from computing import sums

@pytest.fixture
def summed():
    return sums()

@pytest.fixture
def plain():
    return thing()

@pytest.fixture
def outer(summed):
    return summed

@pytest.fixture
def lazily():
    from computing import sums
    return sums()
""",
    "helper.py": "import json\ndef thing(): pass\n",
    "computing.py": "import numpy as np\ndef sums(): return np.zeros(3)\n",
    "starting.py": "import subprocess, sys\ndef run(): subprocess.run([sys.executable])\n",
    "package/__init__.py": "",
    "package/late.py": "def late():\n    from package import inner\n",
    "package/inner.py": "import cv2\n",
    "heavy/__init__.py": "import numpy\n",
    "heavy/light.py": "",
}


@pytest.mark.parametrize(
    ("text", "outside"),
    [
        ("import json, pytest\nfrom helper import thing", {"pytest"}),
        ("import numpy.typing", {"numpy"}),
        ("def test():\n    import cv2", {"cv2"}),
        ("from computing import sums", {"numpy"}),
        ("from package import late", {"cv2"}),
        ("from package.late import late", {"cv2"}),
        ("import package", set()),
        ("from heavy import light", {"numpy"}),
        ("import heavy.light as light", {"numpy"}),
        ("from starting import run", {ANOTHER_PYTHON}),
        ("import something_new", {"something_new"}),
        ("def test(plain): pass", set()),
        ("def test(summed): pass", {"numpy"}),
        ("def test(outer): pass", {"numpy"}),
        ("def test(lazily): pass", {"numpy"}),
        ("import pytest\n@pytest.mark.usefixtures('summed')\ndef test(): pass", {"pytest", "numpy"}),
    ],
)
def test_all_that_a_test_can_reach_counts(tmp_path: Path, text: str, outside: set[str]) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    test = tmp_path / "test_it.py"
    test.write_text(text)
    assert reached(test, [tmp_path]) - {"pytest"} == outside - {"pytest"}


def test_who_names_a_library_that_changes_is_run() -> None:
    naming = [
        file
        for file in TESTS
        if re.search(rf"^\s*(import|from) ({'|'.join(CHANGED)})\b", file.read_text(), re.MULTILINE)
    ]
    assert len(naming) > 10
    assert [file for file in naming if says_the_same(file)] == []


def test_who_is_left_out_needs_none_of_the_libraries_that_change() -> None:
    left_out = [file for file in TESTS if says_the_same(file)]
    assert 10 < len(left_out) < len(TESTS) / 2
    code = (
        f"import sys, importlib\nsys.modules.update(dict.fromkeys({CHANGED}))\n"
        "for name in sys.argv[1:]: importlib.import_module(name)"
    )
    homes = dict.fromkeys(file.parent for file in left_out)
    path = os.pathsep.join(str(folder) for folder in (*folders(), *homes))
    subprocess.run(
        [sys.executable, "-c", code, *(file.stem for file in left_out)],
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_what_counts_as_unchanged_has_one_version_in_both_locks() -> None:
    default, bookworm = (set((LOCKS / f"{name}.txt").read_text().splitlines()) for name in ("default", "bookworm"))
    same = {line.partition("==")[0] for line in default & bookworm}
    assert set(UNCHANGED.values()) <= same
    # contourpy has a second version, for later Pythons, in the default lock only.
    other = {line.partition("==")[0] for line in default - bookworm}
    assert other == {"contourpy", "ml-dtypes", "numpy", "opencv-python-headless"}
