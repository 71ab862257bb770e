"""TFLite files are cut, named and written again: small, aligned, the same bytes each time, and whole or not at all."""

import contextlib
import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import EdgeError, InputError, ModelError, UnavailableError
from edge.host.atomic_write import write_whole
from edge.tflite.file import load
from tiny_models import _Graph, echo_model
from tiny_pose_nets import tiny_singlepose

FILE_LIMIT_BYTES = 50_000
WRITE_BIG = """
import resource, signal, sys
from pathlib import Path
from edge.host.atomic_write import write_whole
signal.signal(signal.SIGXFSZ, signal.{reaction})
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    write_whole(Path(sys.argv[1]), bytes(200_000))
except Exception as error:
    print(error)
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return tiny_singlepose(tmp_path / "net.tflite")


def outputs(content: bytes, image: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    interpreter = Interpreter(model_content=content)
    runner = interpreter.get_signature_runner("serving_default")
    values: dict[str, np.ndarray[Any, Any]] = runner(input=image)
    return values


def noise() -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).integers(0, 256, (1, 64, 96, 3)).astype(np.uint8)


def test_a_file_is_read_and_written_without_a_change_in_what_it_computes(net: Path) -> None:
    image, results = noise(), []
    for content in (net.read_bytes(), load(net).encode()):
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        results.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    np.testing.assert_array_equal(*results)
    assert results[0].std() > 0


def test_a_cut_keeps_only_what_the_outputs_need(net: Path) -> None:
    model = load(net)
    convolutions = [op for op in model.graph.operators if model.op_name(op) == "CONV_2D"]
    wanted = int(convolutions[1].outputs[0])
    model.cut(inputs={"input": int(model.graph.inputs[0])}, outputs={"coarse": wanted})
    assert model.op_names() == ["CAST", "QUANTIZE", "CONV_2D", "CONV_2D"]
    assert len(model.graph.tensors) == 9  # image, cast, first, two maps, and weights and bias of each convolution
    assert len(model.tree.buffers) == 1 + 4
    assert len(model.tree.operatorCodes) == 4  # the builder lists one for each operator
    assert len(model.encode()) < net.stat().st_size


def test_outputs_come_by_their_names_in_the_order_that_was_asked_for(net: Path) -> None:
    model = load(net)
    maps = [int(op.outputs[0]) for op in model.graph.operators if model.op_name(op) == "CONV_2D"]
    model.cut(inputs={"input": int(model.graph.inputs[0])}, outputs={"second": maps[1], "first": maps[0]})
    content = model.encode()
    interpreter = Interpreter(model_content=content)
    assert [output["name"] for output in interpreter.get_output_details()] == ["second", "first"]
    shapes = {name: value.shape for name, value in outputs(content, noise()).items()}
    assert shapes == {"second": (1, 8, 12, 5), "first": (1, 16, 24, 5)}


def test_a_cut_between_operators_takes_an_inner_tensor_as_its_input(net: Path) -> None:
    model = load(net)
    inner = next(int(op.outputs[0]) for op in model.graph.operators if model.op_name(op) == "QUANTIZE")
    result = next(int(op.outputs[0]) for op in model.graph.operators if model.op_name(op) == "CONV_2D")
    model.cut(inputs={"input": inner}, outputs={"map": result})
    assert model.op_names() == ["CONV_2D"]
    value = outputs(model.encode(), (noise().astype(int) - 128).astype(np.int8))["map"]
    assert value.shape == (1, 16, 24, 5)


def test_an_output_that_needs_more_than_the_inputs_is_refused(net: Path) -> None:
    model = load(net)
    maps = [int(op.outputs[0]) for op in model.graph.operators if model.op_name(op) == "CONV_2D"]
    model.rename(int(model.graph.inputs[0]), "the image")
    with pytest.raises(ModelError, match="cannot be cut: its outputs depend on 'the image' too"):
        model.cut(inputs={"input": maps[1]}, outputs={"out": maps[2]})


def test_a_constant_of_its_own_leaves_those_that_shared_its_buffer_alone(net: Path) -> None:
    model = load(net)
    sizes = next(int(op.inputs[1]) for op in model.graph.operators if model.op_name(op) == "RESIZE_BILINEAR")
    weights = next(int(op.inputs[1]) for op in model.graph.operators if model.op_name(op) == "CONV_2D")
    model.graph.tensors[weights].buffer = model.graph.tensors[sizes].buffer
    model.graph.tensors[weights].type, model.graph.tensors[weights].shape = tfl.TensorType.INT32, np.array([2])
    model.set_constant(sizes, np.array([7, 11], np.int32))
    assert model.constant(sizes).tolist() == [7, 11]  # type: ignore[union-attr]
    assert model.constant(weights).tolist() == [16, 24]  # type: ignore[union-attr]


def test_every_constant_begins_at_a_multiple_of_16_bytes_of_the_file(net: Path) -> None:
    model = load(net)
    content = model.encode()
    constants = [buffer.data.tobytes() for buffer in model.tree.buffers if buffer.data is not None]
    odd = tfl.Model.GetRootAs(content, 0)
    for number in range(odd.BuffersLength()):
        data = odd.Buffers(number)
        if not data.DataIsNone():
            place = data.DataAsNumpy().__array_interface__["data"][0]
            start = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
            assert (place - start) % 16 == 0
    assert len(constants) > 10


def test_the_same_model_gives_the_same_bytes_and_they_are_stable_over_reading(net: Path, tmp_path: Path) -> None:
    model = load(net)
    content = model.encode()
    assert model.encode() == content
    again = tmp_path / "again.tflite"
    load(net).save(again)
    assert again.read_bytes() == content
    assert load(again).encode() == content


def test_the_bytes_are_those_of_every_version_of_the_libraries(net: Path) -> None:
    digest = hashlib.sha256(load(net).encode()).hexdigest()
    assert digest == "abdbf798e4e3fd8e891bbe1640f7c267a106c52e2062a3056596a6805e5bbf69"


def test_an_operator_beyond_the_old_list_is_told_by_its_newer_code(net: Path) -> None:
    model = load(net)
    place = model.operator_code("GELU", 2)
    assert model.operator_code("GELU", 2) == place
    assert model.operator_code("GELU", 1) == place + 1
    entry = model.tree.operatorCodes[place]
    assert (entry.builtinCode, entry.deprecatedBuiltinCode) == (tfl.BuiltinOperator.GELU, 127)


def test_a_file_of_several_graphs_is_refused(net: Path) -> None:
    model = load(net)
    model.tree.subgraphs.append(model.graph)
    model.save(net)
    with pytest.raises(ModelError, match="has 2 graphs"):
        load(net)


def test_weights_outside_of_the_tables_are_refused(tmp_path: Path) -> None:
    graph = _Graph()
    source = graph.tensor("float32", (1, 2))
    buffer = tfl.BufferT(None, 4096, 64)
    graph.model.buffers.append(buffer)
    path = graph.save(tmp_path / "m.tflite", source, source)
    with pytest.raises(ModelError, match="keeps its weights outside"):
        load(path)


@pytest.mark.parametrize(("content", "complaint"), [(b"", "not a TFLite"), (b"\0\0\0\0TFL2", "not a TFLite")])
def test_what_is_no_model_is_bad_input(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "m.tflite"
    with pytest.raises(InputError, match="no such model file"):
        load(path)
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        load(path)
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)


def test_an_operator_that_no_schema_knows_is_damage(net: Path, tmp_path: Path) -> None:
    model = load(net)
    model.tree.operatorCodes[0].builtinCode = 65302
    model.save(tmp_path / "damaged.tflite")
    with pytest.raises(ModelError, match="damaged or truncated"):
        load(tmp_path / "damaged.tflite")


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = load(echo_model(tmp_path / "m.tflite")).encode()
    cut = tmp_path / "cut.tflite"
    for end in range(8, len(whole) - 1):
        cut.write_bytes(whole[:end])
        with pytest.raises(ModelError, match="damaged or truncated"):
            load(cut)


def test_damage_anywhere_never_ends_in_a_traceback(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = echo_model(folder / "m.tflite").read_bytes()
    path = folder / "damaged.tflite"

    @given(st.lists(st.tuples(st.integers(8, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=6))
    def damage(changes: list[tuple[int, int]]) -> None:
        content = bytearray(whole)
        for place, value in changes:
            content[place] = value
        path.write_bytes(content)
        with contextlib.suppress(EdgeError):
            assert load(path).encode()

    damage()


def test_a_file_is_replaced_as_a_whole_and_through_a_link(tmp_path: Path) -> None:
    old, link = tmp_path / "old", tmp_path / "link"
    old.write_bytes(b"old")
    link.symlink_to(old)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert old.read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "old"]


def test_a_new_file_has_the_rights_of_any_other(tmp_path: Path) -> None:
    write_whole(tmp_path / "new", b"new")
    (tmp_path / "other").write_bytes(b"")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "other")}
    assert len(modes) == 1


def test_a_folder_that_is_missing_and_a_device_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"far/new: cannot be written: No such file .*: make that folder first"):
        write_whole(tmp_path / "far" / "new", b"")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnavailableError, match="pipe: is not a regular file"):
        write_whole(tmp_path / "pipe", b"")
    with pytest.raises(UnavailableError, match="is not a regular file"):
        write_whole(tmp_path, b"")


def write_big(path: Path, reaction: str) -> subprocess.CompletedProcess[str]:
    """Write more than the process may, which ends like a full disk (SIG_IGN) or kills it on the way (SIG_DFL)."""
    script = WRITE_BIG.format(reaction=reaction, limit=FILE_LIMIT_BYTES)
    return subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=False)


def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")
    done = write_big(path, "SIG_IGN")
    assert (
        done.stdout == f"{path}: cannot be written: File too large: make room or give rights, or name another output\n"
    )
    assert [each.name for each in tmp_path.iterdir()] == ["model"]
    assert path.read_bytes() == b"old"


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")
    assert write_big(path, "SIG_DFL").returncode == -signal.SIGXFSZ
    assert path.read_bytes() == b"old"
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != FILE_LIMIT_BYTES
