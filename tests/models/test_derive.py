"""Deriving: a singlepose model becomes one for many people, the same maps bit for bit, at any size."""

import hashlib
import itertools
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from command import NO_MIRROR, Outcome, arguments, environment, run
from data import model, needs_models
from edge.errors import EdgeError, ModelError, UnavailableError, UsageError
from edge.host.atomic_write import write_whole
from edge.models.derive import derive
from edge.models.derive_file import derive_file, map_shapes, same_maps
from edge.models.entry import ModelEntry
from edge.models.fetch import Fetcher
from edge.models.files import model_row, resolve
from edge.models.manifest import Manifest, load_manifest
from edge.models.places import Places
from edge.models.singlepose import find_image
from edge.tflite.file import load
from edge.tflite.notes import read_notes
from tiny_models import echo_model
from tiny_pose_nets import HEADS, tiny_singlepose

LIGHTNING = "movenet_singlepose_lightning_int8.tflite"
BY_NAME = "movenet-lightning-heads-int8"
EDGE_TPU_TAKES = {"ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "QUANTIZE", "RESIZE_BILINEAR"}


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return tiny_singlepose(tmp_path / "net.tflite")


def heads(content: bytes, image: NDArray[np.uint8]) -> dict[str, NDArray[np.int8]]:
    """Run a derived model and return its maps by name."""
    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    maps: dict[str, NDArray[np.int8]] = runner(input=image)
    return maps


@pytest.mark.parametrize("order", list(itertools.permutations(HEADS)))
def test_the_heads_are_distinguished_however_the_graph_lists_them(tmp_path: Path, order: Sequence[str]) -> None:
    path = tiny_singlepose(tmp_path / "net.tflite", heads=order)
    derived = derive(path)
    graph = derived.model.graph
    assert [derived.model.name(int(tensor)) for tensor in graph.outputs] == list(HEADS)
    # The net makes tensors in the order of its heads, so the numbers show where each head really is.
    assert sorted(HEADS, key=lambda name: derived.source_tensors[name]) == list(order)


def test_the_maps_are_those_of_the_source_bit_for_bit(net: Path) -> None:
    derived = derive(net)
    content = derived.model.encode()
    assert same_maps(net, derived.source_tensors, content) == dict.fromkeys(HEADS, True)
    other = tiny_singlepose(net.with_name("other.tflite"), seed=6)
    assert same_maps(other, derived.source_tensors, content) == dict.fromkeys(HEADS, False)


@pytest.mark.parametrize("size", [(96, 64), (32, 160), (320, 192)])
def test_every_map_follows_the_size_of_the_input(net: Path, size: tuple[int, int]) -> None:
    width, height = size
    shapes = map_shapes(derive(net, size).model.encode())
    assert shapes == {
        name: (1, height // 4, width // 4, channels) for name, channels in zip(HEADS, (1, 17, 34, 34), strict=True)
    }


def test_at_another_size_the_middle_of_a_map_is_that_of_the_same_picture(net: Path) -> None:
    # The net sees 9 cells around; further from the borders a larger input must not change anything.
    image = np.random.default_rng(8).integers(0, 256, (1, 128, 192, 3)).astype(np.uint8)
    small = tiny_singlepose(net.with_name("small.tflite"), height=128, width=192)
    wide = np.zeros((1, 128, 320, 3), np.uint8)
    wide[:, :, :192] = image
    maps = [
        heads(derive(small).model.encode(), image),
        heads(derive(net, (320, 128)).model.encode(), wide),
    ]
    for name in HEADS:
        np.testing.assert_array_equal(maps[0][name][:, :, :36], maps[1][name][:, :, :36])


def test_pixels_go_in_as_they_are_through_one_operator(net: Path) -> None:
    derived = derive(net).model
    (image,) = derived.graph.inputs
    assert (derived.dtype(image), derived.shape(image)) == ("uint8", (1, 64, 96, 3))
    assert derived.op_names()[:2] == ["QUANTIZE", "CONV_2D"]
    (details,) = Interpreter(model_content=derived.encode()).get_input_details()
    assert (details["name"], details["quantization"]) == ("input", (1.0, 0))


def test_all_that_is_left_is_what_an_edge_tpu_takes(net: Path) -> None:
    assert set(derive(net).model.op_names()) <= EDGE_TPU_TAKES


def test_the_file_says_what_it_is(net: Path) -> None:
    path = net.with_name("derived.tflite")
    derive(net, (160, 96)).model.save(path)
    notes = read_notes(path)
    assert notes is not None
    assert (notes.kind, notes.heads, notes.activation, notes.quantization) == ("heads", HEADS, "logits", "int8")
    assert notes.source.digest == f"sha256:{hashlib.sha256(net.read_bytes()).hexdigest()}"


def test_the_bytes_depend_on_content_and_size_and_on_nothing_else(net: Path) -> None:
    copy = Path(shutil.copy(net, net.with_name("another name.tflite")))
    assert derive(copy, (160, 96)).model.encode() == derive(net, (160, 96)).model.encode()
    assert derive(copy, (96, 160)).model.encode() != derive(net, (160, 96)).model.encode()


def test_a_source_that_scales_its_pixels_otherwise_is_refused(tmp_path: Path) -> None:
    path = tiny_singlepose(tmp_path / "net.tflite", pixels=(2.0, -128))
    with pytest.raises(ModelError, match="does not read the pixels shifted to int8"):
        derive(path)


def test_a_convolution_that_loses_its_borders_is_refused(tmp_path: Path) -> None:
    path = tiny_singlepose(tmp_path / "net.tflite", padding=tfl.Padding.VALID)
    with pytest.raises(ModelError, match="without SAME padding"):
        derive(path)


def test_what_is_no_singlepose_model_is_refused_by_saying_what_it_is(tmp_path: Path, net: Path) -> None:
    derived = tmp_path / "derived.tflite"
    derive(net).model.save(derived)
    multipose = echo_model(tmp_path / "multipose.tflite")
    shape = echo_model(tmp_path / "shape.tflite", output_shape=(1, 5, 17))
    plain = echo_model(tmp_path / "plain.tflite", output_shape=(1, 1, 17, 3))
    for path, complaint in [
        (derived, "is cut at its heads already"),
        (multipose, "is MultiPose: that is cut and quantized from the SavedModel, by tools/convert.py --heads"),
        (shape, r"is no singlepose MoveNet: its outputs are \[\[1, 5, 17\]\]"),
        (plain, "is not quantized to int8"),
    ]:
        with pytest.raises(ModelError, match=complaint):
            derive(path)


def test_a_model_of_floats_is_refused(net: Path) -> None:
    source = load(net)
    source.graph.tensors[find_image(source)].type = tfl.TensorType.FLOAT32
    source.save(net)
    with pytest.raises(ModelError, match="is not quantized to int8"):
        derive(net)


def test_tables_that_contradict_each_other_are_damage(net: Path) -> None:
    source = load(net)
    source.graph.operators[-1].outputs = np.array([], np.int32)
    source.graph.tensors[find_image(source)].shape = np.array([64, 96, 3], np.int32)
    source.save(net)
    with pytest.raises(ModelError, match=r"net\.tflite: the model file is damaged"):
        derive(net)


def test_an_operator_that_reads_its_own_result_is_damage(net: Path) -> None:
    source = load(net)
    source.graph.operators[1].inputs = source.graph.operators[1].outputs
    source.save(net)
    with pytest.raises(ModelError, match="the model file is damaged"):
        derive(net)


@needs_models
@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("movenet_singlepose_lightning_int8_edgetpu.tflite", "is compiled for the Edge TPU"),
        ("posenet_wrong_model.tflite", "is no singlepose MoveNet"),
    ],
)
def test_published_models_of_another_kind_are_refused(name: str, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        derive(model(name))


def test_damage_anywhere_never_ends_in_a_traceback(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = tiny_singlepose(folder / "net.tflite").read_bytes()
    path = folder / "damaged.tflite"
    refused = 0

    @given(st.lists(st.tuples(st.integers(8, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=6))
    def damage(changes: list[tuple[int, int]]) -> None:
        nonlocal refused
        content = bytearray(whole)
        for place, value in changes:
            content[place] = value
        path.write_bytes(content)
        try:
            derive(path, (160, 96)).model.encode()
        except EdgeError:
            refused += 1

    damage()
    assert refused > 0


def test_the_file_is_not_written_over_its_source(net: Path) -> None:
    before = net.read_bytes()
    with pytest.raises(UsageError, match="is the source itself"):
        list(derive_file(net, net))
    assert net.read_bytes() == before


@needs_models
def test_the_command_writes_the_file_and_says_what_it_is(tmp_path: Path) -> None:
    output = tmp_path / "heads.tflite"
    output.write_bytes(b"an older one")
    done = run("models", "derive", model(LIGHTNING), "--size", "256x256", "--output", output)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"{output}: heads of {LIGHTNING} at 256x256 (HxW), int8, {output.stat().st_size} bytes"
    assert lines[1].startswith("operators: 157 before, 91 after (50 CONV_2D, ")
    assert lines[2] == "parity at 192x192: center, heatmap, regression, offset are bit for bit those of the source"
    assert lines[3] == f"sha256: {hashlib.sha256(output.read_bytes()).hexdigest()}"
    assert [path.name for path in tmp_path.iterdir()] == ["heads.tflite"]


def refusal(*words: str | Path) -> tuple[int, str]:
    done: Outcome = run("models", "derive", *words, env=NO_MIRROR)
    (line,) = done.error_lines()
    assert done.out == ""
    return done.code, line


def test_bad_words_and_files_end_in_one_line_and_their_code(tmp_path: Path, net: Path) -> None:
    output = tmp_path / "out.tflite"
    text, cut = tmp_path / "text.tflite", tmp_path / "cut.tflite"
    text.write_text("no model at all")
    cut.write_bytes(net.read_bytes()[:5000])
    assert refusal(net, "--size", "250x256", "--output", output) == (
        64,
        "argument --size: '250x256' is not a multiple of 32 (nearest: 256x256) (see edge-pose models derive --help)",
    )
    assert refusal(net, "--size", "auto", "--output", output)[0] == 64
    assert refusal(net)[0] == 64
    assert refusal(text, "--output", output) == (
        66,
        f"{text}: not a TFLite model (no TFL3 mark at its start)",
    )
    assert refusal(tmp_path / "far.tflite", "--output", output)[0] == 66
    code, line = refusal(cut, "--output", output)
    assert (code, line.startswith(f"{cut}: the model file is damaged or truncated")) == (78, True)
    assert refusal("unheard-of", "--output", output)[0] == 69
    assert refusal("movenet-multipose-lightning-savedmodel", "--output", output)[0] == 78
    assert refusal(net, "--output", tmp_path / "far" / "out.tflite") == (
        69,
        f"{tmp_path}/far/out.tflite: cannot be written: No such file or directory: make that folder first",
    )
    assert not output.exists()


def test_an_output_in_a_folder_of_too_long_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be written: File name too long: make that folder first"):
        write_whole(tmp_path / ("x" * 300) / "out.tflite", b"content")


def test_a_command_killed_while_it_writes_leaves_the_older_file(tmp_path: Path, net: Path) -> None:
    output = tmp_path / "out.tflite"
    output.write_bytes(b"an older one")
    limit = "import resource, signal, runpy; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)); runpy.run_module('edge', run_name='__main__')"
    words = [str(word) for word in arguments("models", "derive", net, "--output", output)[3:]]
    done = subprocess.run([sys.executable, "-c", limit, *words], env=environment(), capture_output=True, check=False)
    assert done.returncode == -signal.SIGXFSZ
    assert output.read_bytes() == b"an older one"


@pytest.fixture
def where(tmp_path: Path) -> Places:
    """A mirror that has the source and nothing else, and an empty cache."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    tiny_singlepose(mirror / "single.tflite")
    return Places(mirror, tmp_path / "cache")


def entry(where: Places, *, sha256: str = "", source_url: str = "") -> ModelEntry:
    """Return a model that is made of `single.tflite` at 96x160."""
    assert where.mirror is not None
    file = where.mirror / "single.tflite"
    content = derive(file, (160, 96)).model.encode()
    single = ModelEntry(
        name="single",
        file="single.tflite",
        kind="singlepose",
        licence="MIT",
        url=source_url,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )
    return ModelEntry(
        name="many",
        file="many.tflite",
        kind="heads",
        licence="MIT",
        sha256=sha256 or hashlib.sha256(content).hexdigest(),
        derived_from="single",
        size="96x160",
        source=single,
    )


def test_a_derived_model_is_made_at_first_use_without_a_network(where: Places) -> None:
    many = entry(where)
    found = resolve("many", Manifest("many", {"many": many}), where, fetch=Fetcher(where).fetch)
    assert (found.path, found.source) == (where.cache / "many.tflite", "cache")
    assert many.digest_of(found.path) == many.digest
    assert {path.name for path in where.cache.iterdir() if path.suffix != ".lock"} == {"many.tflite"}
    row = model_row("many", Manifest("many", {"many": many}), where)
    assert (row.state, row.source) == ("ok", "cache")


def test_a_derived_model_that_is_here_is_not_made_again(where: Places) -> None:
    many = entry(where)
    first = Fetcher(where).fetch(many)
    stamp = first.stat().st_mtime_ns
    assert where.mirror is not None
    (where.mirror / "single.tflite").unlink()
    assert Fetcher(where).fetch(many).stat().st_mtime_ns == stamp


def test_a_derived_model_in_the_mirror_is_used_in_place(where: Places) -> None:
    many = entry(where)
    assert where.mirror is not None
    derive(where.mirror / "single.tflite", (160, 96)).model.save(where.mirror / "many.tflite")
    found = resolve("many", Manifest("many", {"many": many}), where, fetch=Fetcher(where).fetch)
    assert (found.source, found.path.parent) == ("mirror", where.mirror)


def test_a_spoilt_derived_model_is_set_aside_and_made_again(where: Places) -> None:
    many = entry(where)
    path = Fetcher(where).fetch(many)
    path.write_bytes(b"spoilt")
    assert many.digest_of(Fetcher(where).fetch(many)) == many.digest
    assert (where.cache / "many.tflite.bad").read_bytes() == b"spoilt"


def test_without_its_source_a_derived_model_cannot_be_had_and_both_are_named(where: Places) -> None:
    many = entry(where, source_url="http://127.0.0.1:9/single.tflite")
    assert where.mirror is not None
    (where.mirror / "single.tflite").unlink()
    with pytest.raises(UnavailableError) as caught:
        Fetcher(where).fetch(many)
    assert str(caught.value).startswith("model 'many' is made of 'single': model 'single' cannot be fetched: ")
    assert "\n" not in str(caught.value)
    assert not (where.cache / "many.tflite").exists()


def test_what_comes_out_otherwise_than_the_manifest_says_is_not_kept(where: Places) -> None:
    with pytest.raises(UnavailableError, match=f"gives sha256:[0-9a-f]+, expected sha256:{'ab' * 32}"):
        Fetcher(where).fetch(entry(where, sha256="ab" * 32))
    assert {path.name for path in where.cache.iterdir() if path.suffix != ".lock"} == set()


def test_a_source_that_is_of_another_kind_is_named_with_the_model(where: Places) -> None:
    many = entry(where)
    assert where.mirror is not None
    assert many.source is not None
    path = echo_model(where.mirror / "single.tflite")
    wrong = replace(many.source, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(UnavailableError, match=r"model 'many' is made of 'single': .*single\.tflite: is MultiPose"):
        Fetcher(where).fetch(replace(many, source=wrong))


@needs_models
@pytest.mark.parametrize("name", [BY_NAME, f"{BY_NAME}-192x320"])
def test_the_products_derived_models_come_out_with_their_digests(name: str, tmp_path: Path) -> None:
    mirror = model(LIGHTNING).parent
    many = load_manifest(mirror).entry(name)
    path = Fetcher(Places(mirror, tmp_path)).fetch(many)
    assert many.digest_of(path) == many.digest


@needs_models
def test_a_run_by_name_makes_the_model_and_finds_people(tmp_path: Path) -> None:
    environ = {**NO_MIRROR, "EDGE_POSE_MODEL_MIRROR": str(model(LIGHTNING).parent), "EDGE_POSE_CACHE": str(tmp_path)}
    words = ("run", "--model", BY_NAME, "--camera", "scene", "--max-frames", "3", "--no-pace", "--jsonl", "-")
    done = run(*words, env=environ)
    assert done.code == 0
    assert all(f'"model":"{BY_NAME}","poses":[{{"id":' in line for line in done.out.splitlines())
    assert len(done.out.splitlines()) == 3
