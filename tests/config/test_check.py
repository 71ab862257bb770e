"""Lists as values of keys: checked element by element."""

from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct, field

from edge.config.check import check_table, parse_toml
from edge.config.topic_name import check_name

SHARE = Annotated[float, Meta(ge=0, le=1)]


class Keys(Struct, kw_only=True):
    crop: Annotated[list[SHARE], Meta(min_length=4, max_length=4)] | None = None
    offsets: list[int] = []
    zones: Annotated[list[Annotated[str, Meta(extra={"check": check_name})]], Meta(max_length=2)] = []
    labels: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["a"])
    lines: list[list[SHARE]] = []


def complaint(**table: Any) -> str:
    good, problems = check_table(Keys, table)
    assert not good
    (text,) = problems.values()
    return text


@pytest.mark.parametrize(
    "table",
    [
        {"crop": [0, 0.25, 1, 1.0]},
        {"offsets": []},
        {"offsets": [-7, 10**6]},
        {"zones": ["door", "yard"]},
        {"lines": [[0, 1], []]},
    ],
)
def test_a_list_of_the_right_elements_is_good(table: dict[str, Any]) -> None:
    assert check_table(Keys, table) == (table, {})


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"crop": [0, 0, 1.5, 1]}, "element 3: expected a number from 0 to 1, got 1.5"),
        ({"crop": [0, True, 1, 1]}, "element 2: expected a number from 0 to 1, got true"),
        ({"crop": [0, float("nan"), 1, 1]}, "element 2: expected a number from 0 to 1, got nan"),
        ({"offsets": [1, 2.5]}, "element 2: expected a whole number, got 2.5"),
        ({"zones": ["door", 3]}, "element 2: expected text in quotes, got 3"),
        ({"zones": ["a/b"]}, "element 1: 'a/b' cannot be part of a topic: no '/', '+', '#', no space at its ends"),
        ({"labels": ["a", "b\x1b"]}, "element 2: holds control characters, or bytes that are not UTF-8"),
        ({"lines": [[0], [2]]}, "element 2: element 1: expected a number from 0 to 1, got 2"),
    ],
)  # fmt: skip
def test_a_bad_element_is_named_by_its_place(table: dict[str, Any], text: str) -> None:
    assert complaint(**table) == text


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"crop": [0, 0, 1]}, "expected 4 elements, got 3"),
        ({"zones": ["a", "b", "c"]}, "expected 0 to 2 elements, got 3"),
        ({"labels": []}, "expected 1 or more elements, got 0"),
    ],
)
def test_a_list_of_another_length_is_refused(table: dict[str, Any], text: str) -> None:
    assert complaint(**table) == text


def test_what_is_no_list_is_refused_with_what_would_be_one() -> None:
    assert complaint(crop=0.5) == "expected a list, each element a number from 0 to 1, got 0.5"
    assert complaint(labels="a") == 'expected a list, each element text in quotes, got "a"'


def test_every_bad_element_is_named() -> None:
    text = "element 1: expected a number from 0 to 1, got -1; element 4: expected a number from 0 to 1, got a list"
    assert complaint(crop=[-1, 0, 1, [1]]) == text


def test_of_many_bad_elements_the_first_are_named_and_the_others_counted() -> None:
    assert complaint(offsets=[None] * 9).endswith("element 3: expected a whole number, got None; 6 more")


@pytest.mark.parametrize(
    "text",
    [
        "a." * 20_000 + "a = 1",
        "[" + "a." * 20_000 + "a]",
        "x = { " + '"a".' * 20_000 + "a = 1 }",
        "a = 1\nb = [" + "1.5, " * 300 + "]",
    ],
    ids=["key", "table", "inline", "numbers"],
)
def test_a_line_with_very_many_dots_is_refused_before_it_is_parsed(text: str) -> None:
    with pytest.raises(ValueError, match=r"^more than 200 dots \(at line [12]\)$"):
        parse_toml(text)


def test_dots_in_comments_and_in_common_numbers_are_harmless() -> None:
    assert parse_toml("# " + "." * 300 + "\na.b = [" + "0.5, " * 100 + "]") == {"a": {"b": [0.5] * 100}}
