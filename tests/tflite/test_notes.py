"""Notes: a model file says what it is, in itself or in a file beside it."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.errors import EdgeError, InputError, ModelError
from edge.tflite.file import load
from edge.tflite.notes import Affine, Notes, Source, encode_notes, notes_path, read_notes
from tiny_models import _Graph, echo_model

NOTES = Notes(
    kind="heads",
    heads=("center", "heatmap", "regression"),
    affine={"regression": Affine((2.0, 0.5), (-3.0, 0.25)), "center": Affine((1.5,), (0.0,))},
    quantization="int8",
    source=Source("lightning.tflite", "sha256:" + "0c" * 32),
    tool="edge-pose test",
)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return echo_model(tmp_path / "plain.tflite")


def noted(path: Path, notes: Notes = NOTES) -> Path:
    model = load(path)
    model.set_notes(notes)
    model.save(path)
    return path


def test_notes_in_a_file_come_back_as_they_were(plain: Path) -> None:
    assert read_notes(noted(plain)) == NOTES


def test_newer_notes_take_the_place_of_those_in_the_file(plain: Path) -> None:
    newer = replace(NOTES, tool="edge-pose later")
    assert read_notes(noted(noted(plain), newer)) == newer
    assert [entry.name for entry in load(plain).tree.metadata] == [b"edge-pose"]


def test_a_file_without_metadata_takes_the_notes_beside_it(plain: Path) -> None:
    assert read_notes(plain) is None
    notes_path(plain).write_bytes(encode_notes(NOTES))
    assert notes_path(plain).name == "plain.tflite.json"
    assert read_notes(plain) == NOTES


def test_the_files_own_notes_outweigh_those_beside_it(plain: Path) -> None:
    notes_path(plain).write_text("not even JSON")
    assert read_notes(noted(plain)) == NOTES


def test_equal_notes_give_equal_bytes_in_whatever_order_they_were_put_together() -> None:
    turned = replace(NOTES, affine=dict(reversed(NOTES.affine.items())))
    assert list(turned.affine) != list(NOTES.affine)
    assert encode_notes(turned) == encode_notes(NOTES)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "truncated"),
        ("[]", "Expected `object`"),
        ('{"format": 1, "more": ' + "[" * 100_000, "recursion"),
        ('{"format": 2, "kind": "unheard of"}', "format 2, and 1 is the only one known here: update edge-pose"),
        ('{"format": 1}', "missing required field"),
        ('{"format": 1, "kind": "segments"}', "Invalid enum value 'segments'"),
        (" " * (1 << 20) + "{}", "is larger than 1048576 bytes"),
    ],
)
def test_what_are_no_notes_is_refused_by_naming_the_file(plain: Path, text: str, complaint: str) -> None:
    notes_path(plain).write_text(text)
    with pytest.raises(ModelError) as caught:
        read_notes(plain)
    assert str(caught.value).startswith(f"{plain}.json: the notes of a model")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("notes", "complaint"),
    [
        (replace(NOTES, heads=()), "kind 'heads' with 0 heads"),
        (replace(NOTES, kind="multipose"), "kind 'multipose' with 3 heads"),
        (replace(NOTES, heads=("center", "center", "regression")), "one name for two heads"),
        (replace(NOTES, heads=("center",)), "affine for 'regression', which is none of its heads"),
        (replace(NOTES, affine={"center": Affine((1.0, 2.0), (0.0,))}), "affine of 'center' has 2 gains and 1 shifts"),
        (replace(NOTES, affine={"center": Affine((0.0,), (1.0,))}), "has a gain of 0"),
        (replace(NOTES, source=Source("a", "md5:12")), "digest"),
    ],
)
def test_notes_that_contradict_themselves_are_refused(plain: Path, notes: Notes, complaint: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_notes(noted(plain, notes))
    assert complaint in str(caught.value)


def test_notes_that_cannot_be_read_are_not_taken_for_none(plain: Path) -> None:
    notes_path(plain).mkdir()
    with pytest.raises(ModelError, match=r"plain\.tflite\.json: the notes of a model cannot be read"):
        read_notes(plain)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0\0\0\0GIF8" + bytes(99)])
def test_what_is_no_model_is_bad_input(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.tflite"
    with pytest.raises(InputError, match="no such model file"):
        read_notes(path)
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a TFLite model"):
        read_notes(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_notes(tmp_path)


def test_a_file_cut_off_anywhere_is_refused_or_gives_the_right_notes(plain: Path) -> None:
    whole = noted(plain).read_bytes()
    cut = plain.with_name("cut.tflite")
    refused = 0
    for end in range(len(whole)):
        cut.write_bytes(whole[:end])
        try:
            assert read_notes(cut) == NOTES
        except EdgeError:
            refused += 1
    assert refused > 100


def test_notes_in_a_buffer_that_is_not_there_are_damage(tmp_path: Path) -> None:
    graph = _Graph()
    source = graph.tensor("float32", (1, 2))
    graph.note(encode_notes(NOTES))
    graph.model.metadata[0].buffer = 2  # of two: 0 and 1
    path = graph.save(tmp_path / "m.tflite", source, source)
    with pytest.raises(ModelError, match="damaged or truncated"):
        read_notes(path)


def test_damage_anywhere_never_ends_in_a_traceback(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = noted(echo_model(folder / "m.tflite")).read_bytes()
    path = folder / "damaged.tflite"

    @given(st.lists(st.tuples(st.integers(8, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=6))
    def damage(changes: list[tuple[int, int]]) -> None:
        content = bytearray(whole)
        for place, value in changes:
            content[place] = value
        path.write_bytes(content)
        with contextlib.suppress(EdgeError):
            read_notes(path)

    damage()
