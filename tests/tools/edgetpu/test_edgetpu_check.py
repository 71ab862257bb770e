"""What the Edge TPU compiler will make of a file, by Google's rules, and of the one file of which Google shows it."""

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from command import Outcome, use_tool
from data import model, needs_models
from edge.errors import InputError, ModelError
from tiny_models import echo_model
from tools.edgetpu.graph import EDGETPU_OP, Graph, Op, Tensor, read_graph
from tools.edgetpu.partition import AFTER, BEFORE, STOP, TPU, Plan, plan
from tools.edgetpu.report import summary, text
from tools.edgetpu.rules import doubt, why_not

SOURCE = "movenet_singlepose_lightning_int8.tflite"
COMPILED = "movenet_singlepose_lightning_int8_edgetpu.tflite"


def check(*words: str | Path) -> Outcome:
    return use_tool("edgetpu", *words)


def map_of(*shape: int, dtype: str = "int8", name: str = "map") -> Tensor:
    return Tensor(name, shape, dtype, is_quantized=dtype.endswith("int8"))


def constant(*values: int) -> Tensor:
    return Tensor("parameter", (len(values),), "int32", data=np.array(values, np.int32).tobytes())


def codes(*values: int, shape: tuple[int, ...], zero_point: int = 0) -> Tensor:
    return Tensor("codes", shape, "int8", True, zero_point, np.array(values, np.int8).tobytes())


def why(kind: str, *tensors: Tensor, version: int = 1, **options: Any) -> str | None:
    """Judge one operator; the last tensor is its output."""
    graph = Graph(tensors, (one(kind, range(len(tensors) - 1), len(tensors) - 1, version, **options),))
    blocker = why_not(graph.ops[0], graph)
    return blocker.why if blocker else None


def one(kind: str, inputs: Any, output: int, version: int = 1, **options: Any) -> Op:
    return Op(kind, version, tuple(inputs), (output,), SimpleNamespace(**options) if options else None)


def chain(*kinds: str, dtype: str = "int8") -> Graph:
    """One operator after the other."""
    tensors = tuple(map_of(1, 6, 10, 4, dtype=dtype, name=f"t{at}") for at in range(len(kinds) + 1))
    return Graph(tensors, tuple(one(kind, [at], at + 1) for at, kind in enumerate(kinds)))


def strip(planned: Plan) -> str:
    return "".join({BEFORE: "b", TPU: "T", STOP: "s", AFTER: "a"}[place] for place in planned.places)


@needs_models
def test_lightning_is_divided_as_in_googles_own_compiled_file() -> None:
    source, compiled = (read_graph(model(name)) for name in (SOURCE, COMPILED))
    planned = plan(source)
    assert (planned.tpu_ops, len(planned.places) - planned.tpu_ops, planned.partitions) == (98, 59, 1)
    outside = [op for op, place in zip(source.ops, planned.places, strict=True) if place != TPU]
    truth = [op for op in compiled.ops if op.kind != EDGETPU_OP]
    assert Counter(op.kind for op in outside) == Counter(op.kind for op in truth)
    assert {source.name(op) for op in outside} == {compiled.name(op) for op in truth}


@needs_models
def test_what_google_hands_over_to_the_cpu_is_what_the_last_ops_inside_make() -> None:
    source, compiled = (read_graph(model(name)) for name in (SOURCE, COMPILED))
    planned = plan(source)
    inside = [op for op, place in zip(source.ops, planned.places, strict=True) if place == TPU]
    outside = [op for op, place in zip(source.ops, planned.places, strict=True) if place != TPU]
    made = {index for op in inside for index in op.outputs}
    handed_over = {source.tensors[index].name for op in outside for index in op.inputs if index in made}
    (partition,) = (op for op in compiled.ops if op.kind == EDGETPU_OP)
    assert handed_over == {compiled.tensors[index].name for index in partition.outputs}


@needs_models
def test_a_compiled_file_is_shown_as_it_is() -> None:
    done = check(model(COMPILED), "--json")
    figures = json.loads(done.out)
    assert (figures["compiled"], figures["tpu_ops"], figures["cpu_ops"], figures["partitions"]) == (True, 1, 59, 1)
    assert len(figures["blockers"]) == 59


@needs_models
def test_the_full_fp16_graph_has_nothing_for_the_edge_tpu_with_the_reasons() -> None:
    done = check(model("multipose_standin_f16.tflite"), "--json")
    figures = json.loads(done.out)
    assert (done.code, figures["tpu_ops"], figures["cpu_ops"], figures["partitions"]) == (0, 0, 398, 0)
    assert "works on float32, not on 8 bits" in {each["why"] for each in figures["blockers"]}
    assert "fix the size of the input" in check(model("multipose_standin_f16.tflite")).out


@needs_models
def test_a_model_of_another_kind_is_judged_like_any() -> None:
    figures = json.loads(check(model("posenet_wrong_model.tflite"), "--json", "--min-tpu", "100").out)
    assert (figures["tpu_ops"], figures["cpu_ops"], figures["blockers"]) == (32, 0, [])


@needs_models
def test_too_small_a_part_for_the_edge_tpu_ends_with_78_when_that_was_asked() -> None:
    done = check(model(SOURCE), "--min-tpu", "63")
    assert done.code == 78
    assert done.err.splitlines() == [
        f"edgetpu_check: {model(SOURCE)}: 62.4 % of its ops run on the Edge TPU, less than 63 %"
    ]
    assert check(model(SOURCE), "--min-tpu", "62").code == 0


def test_what_comes_before_the_first_supported_op_stays_on_the_cpu() -> None:
    assert strip(plan(chain("CAST", "FLOOR", "TANH", "RELU"))) == "bbTT"


def test_the_edge_tpu_is_left_once_and_never_entered_again() -> None:
    planned = plan(chain("TANH", "FLOOR", "TANH", "ARG_MAX", "RELU"))
    assert strip(planned) == "Tsaaa"
    assert (planned.partitions, planned.possible_partitions) == (1, 3)


def test_a_branch_that_does_not_need_what_the_cpu_makes_stays_on_the_edge_tpu() -> None:
    tensors = tuple(map_of(1, 6, 10, 4) for _ in range(7))
    ops = (one("RELU", [0], 1), one("FLOOR", [1], 2), one("TANH", [1], 3), one("ADD", [2, 3], 4), one("TANH", [3], 5))
    assert strip(plan(Graph(tensors, ops))) == "TsTaT"


def test_a_later_version_than_the_compiler_knows_refuses_the_whole_file() -> None:
    graph = chain("TANH", "QUANTIZE")
    newer = Graph(graph.tensors, (graph.ops[0], one("QUANTIZE", [1], 2, version=3)))
    planned = plan(newer)
    assert (planned.tpu_ops, planned.partitions) == (0, 0)
    assert [each["op"] for each in summary(planned)["blockers"]] == ["QUANTIZE"]
    assert "refuses the whole file" in text("m", planned)


@pytest.mark.parametrize("dtype", ["float32", "int16", "int32", "float16"])
def test_only_8_bit_codes_are_computed_with(dtype: str) -> None:
    assert why("TANH", map_of(1, 3, 5, 2, dtype=dtype), map_of(1, 3, 5, 2)) == f"works on {dtype}, not on 8 bits"
    assert why("TANH", map_of(1, 3, 5, 2), map_of(1, 3, 5, 2, dtype=dtype)) == f"works on {dtype}, not on 8 bits"
    assert why("TANH", map_of(1, 3, 5, 2), map_of(1, 3, 5, 2, dtype="uint8")) is None


def test_bytes_without_a_scale_are_no_numbers() -> None:
    assert why("TANH", Tensor("image", (1, 3, 5, 2), "uint8"), map_of(1, 3, 5, 2)) == "works on uint8, not on 8 bits"


def test_weights_may_have_four_dimensions_and_a_bias_32_bits() -> None:
    weights, bias = codes(*range(24), shape=(2, 3, 2, 2)), constant(7, 8)
    same = {"dilationWFactor": 1, "dilationHFactor": 1}
    assert why("CONV_2D", map_of(1, 9, 5, 2), weights, bias, map_of(1, 9, 5, 2), **same) is None
    assert (
        why("CONV_2D", map_of(2, 9, 5, 2), weights, bias, map_of(2, 9, 5, 2), **same)
        == "more than 3 dimensions: 2x9x5x2"
    )


@pytest.mark.parametrize(
    ("kind", "tensors", "options", "reason"),
    [
        ("GATHER_ND", [map_of(1, 4, 6, 2), map_of(3, 2)], {}, "no such operation"),
        ("RELU", [map_of(1, -1, 6, 2), map_of(1, -1, 6, 2)], {}, "not fixed: 1x?x6x2"),
        ("CONV_2D", [map_of(1, 4, 6, 2), map_of(1, 1, 1, 2), map_of(1, 4, 6, 1)], {}, "not a constant"),
        (
            "DEPTHWISE_CONV_2D",
            [map_of(1, 4, 6, 2), codes(1, 2, shape=(1, 1, 1, 2)), map_of(1, 4, 6, 2)],
            {"dilationWFactor": 1, "dilationHFactor": 2},
            "dilated differently",
        ),
        ("MAX_POOL_2D", [map_of(1, 4, 6, 2), map_of(1, 2, 3, 2)], {"fusedActivationFunction": 1}, "fused activation"),
        ("CONCATENATION", [map_of(1, 2), codes(3, 4, shape=(1, 2)), map_of(1, 4)], {}, "only zeros"),
        ("FULLY_CONNECTED", [map_of(3, 2), codes(3, 4, shape=(1, 2)), map_of(3, 2)], {}, "more than one-dimensional"),
        ("FULLY_CONNECTED", [map_of(1, 2), codes(3, 4, shape=(1, 2)), map_of(1, 1)], {"weightsFormat": 1}, "format"),
        ("SUM", [map_of(1, 4, 6, 2), constant(0), map_of(4, 6, 2)], {}, "reduces the batch"),
        ("MEAN", [map_of(1, 4, 6, 6), constant(-1), map_of(1, 4, 6)], {}, "6 channels"),
        ("PACK", [map_of(4, 6, 2), map_of(4, 6, 2), map_of(1, 4, 6, 2)], {"axis": 0}, "packs in the batch"),
        ("PAD", [map_of(1, 4, 6, 2), constant(0, 1, 1, 1, 0, 0, 0, 0), map_of(1, 6, 6, 2)], {}, "pads the batch"),
        ("PRELU", [map_of(1, 4, 6, 2), codes(1, 2, 3, 4, shape=(2, 2)), map_of(1, 4, 6, 2)], {}, "alpha"),
        ("SOFTMAX", [map_of(1, 4, 6, 2), map_of(1, 4, 6, 2)], {}, "only one dimension"),
        ("SOFTMAX", [map_of(1, 16_001), map_of(1, 16_001)], {}, "16000"),
        ("SPLIT", [constant(0), map_of(1, 4, 6, 2), map_of(1, 4, 6, 2)], {}, "splits the batch"),
        (
            "STRIDED_SLICE",
            [map_of(9, 4), constant(0, 0), constant(9, 4), constant(2, 1), map_of(5, 4)],
            {"ellipsisMask": 0, "newAxisMask": 0},
            "strides of 1",
        ),
        ("RESIZE_BILINEAR", [map_of(1, 256, 256, 32), constant(512, 512), map_of(1, 512, 512, 32)], {}, "too large"),
    ],
)
def test_each_limit_of_googles_table_is_held(
    kind: str, tensors: list[Tensor], options: dict[str, Any], reason: str
) -> None:
    found = why(kind, *tensors, **options)
    assert found is not None
    assert reason in found


@pytest.mark.parametrize(
    ("kind", "tensors", "options"),
    [
        ("CONCATENATION", [map_of(1, 2), codes(-7, -7, shape=(1, 2), zero_point=-7), map_of(1, 4)], {}),
        ("FULLY_CONNECTED", [map_of(1, 2), codes(3, 4, shape=(1, 2)), map_of(1, 1)], {}),
        ("MEAN", [map_of(1, 4, 6, 8), constant(1, 2, 3), map_of(1, 1)], {}),
        ("PACK", [map_of(1, 4, 6), map_of(1, 4, 6), map_of(1, 4, 6, 2)], {"axis": 3}),
        ("PAD", [map_of(1, 4, 6, 2), constant(0, 0, 1, 1, 0, 0, 0, 0), map_of(1, 6, 6, 2)], {}),
        ("SOFTMAX", [map_of(1, 1, 1, 16_000), map_of(1, 1, 1, 16_000)], {}),
        ("SPLIT", [constant(3), map_of(1, 4, 6, 2), map_of(1, 4, 6, 1)], {}),
    ],
)
def test_what_keeps_within_the_limits_is_taken(kind: str, tensors: list[Tensor], options: dict[str, Any]) -> None:
    assert why(kind, *tensors, **options) is None


def test_a_resizing_of_unproven_size_is_a_doubt_and_no_blocker() -> None:
    tensors = (map_of(1, 80, 128, 32), constant(160, 256), map_of(1, 160, 256, 32))
    graph = Graph(tensors, (one("RESIZE_BILINEAR", [0, 1], 2),))
    assert why_not(graph.ops[0], graph) is None
    assert "160x256x32" in (doubt(graph.ops[0], graph) or "")
    assert summary(plan(graph))["doubts"][0]["op"] == "RESIZE_BILINEAR"
    assert "in doubt: RESIZE_BILINEAR" in text("m", plan(graph))


def test_weights_are_counted_once_and_against_the_cache() -> None:
    weights = Tensor("w", (4, 1, 1, 2), "int8", True, 0, bytes(7_000_000))
    tensors = (map_of(1, 5, 3, 2), weights, map_of(1, 5, 3, 4), map_of(1, 5, 3, 4))
    graph = Graph(tensors, (one("CONV_2D", [0, 1], 2), one("CONV_2D", [2, 1], 3)))
    figures = summary(plan(graph))
    assert (figures["weights_bytes"], figures["tpu_weights_bytes"]) == (7_000_000, 7_000_000)
    assert "they may not fit whole" in text("m", plan(graph))


def test_a_file_is_read_with_its_codings_and_versions(tmp_path: Path) -> None:
    path = echo_model(tmp_path / "m.tflite", dtype="int8", quantization=(0.5, -3), height=32, width=96)
    graph = read_graph(path)
    assert [(op.kind, op.version) for op in graph.ops] == [
        ("RESHAPE", 1),
        ("SLICE", 1),
        ("DEQUANTIZE", 2),
        ("RESHAPE", 1),
    ]
    assert graph.tensors[0] == Tensor("t0", (1, 32, 96, 3), "int8", is_quantized=True, zero_point=-3)
    assert graph.tensors[graph.ops[0].inputs[1]].values().tolist() == [9216]
    figures = json.loads(check(path, "--json").out)
    assert (figures["tpu_ops"], figures["cpu_ops"], figures["partitions"]) == (2, 2, 1)
    assert "0  TTcc" in check(path).out


def test_a_truncated_file_is_one_line_and_78(tmp_path: Path) -> None:
    path = echo_model(tmp_path / "m.tflite")
    path.write_bytes(path.read_bytes()[:150])
    done = check(path)
    assert (done.code, done.out) == (78, "")
    assert done.err.startswith(f"edgetpu_check: {path}: the model file is damaged or truncated")
    assert len(done.err.splitlines()) == 1


def test_no_cut_and_no_flipped_byte_ends_in_a_traceback(tmp_path: Path) -> None:
    path = echo_model(tmp_path / "m.tflite", dtype="int8", quantization=(0.5, -3))
    content = path.read_bytes()
    for at in range(8, len(content), 3):
        for broken in (content[:at], content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]):
            path.write_bytes(broken)
            try:
                text("m", plan(read_graph(path)))
            except ModelError:
                continue


def test_a_file_that_is_no_model_is_one_line_and_66(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_text("no model at all")
    done = check(tmp_path / "m.tflite")
    assert (done.code, len(done.err.splitlines())) == (66, 1)
    with pytest.raises(InputError, match="no TFL3 mark"):
        read_graph(tmp_path / "m.tflite")


def test_an_unknown_flag_is_one_line_and_64() -> None:
    done = check("m.tflite", "--unheard-of")
    assert (done.code, done.err) == (64, "edgetpu_check: unrecognized arguments: --unheard-of (see --help)\n")


@pytest.mark.parametrize("percent", ["-1", "101", "nan"])
def test_a_part_that_no_file_can_have_is_one_line_and_64(percent: str) -> None:
    done = check("m.tflite", "--min-tpu", percent)
    says = f"edgetpu_check: --min-tpu takes a percentage from 0 to 100, not {percent} (see --help)\n"
    assert (done.code, done.out, done.err) == (64, "", says)


def test_a_file_that_is_not_there_is_one_line_and_66(tmp_path: Path) -> None:
    done = check(tmp_path / "none.tflite")
    assert (done.code, done.err.splitlines()) == (
        66,
        [f"edgetpu_check: {tmp_path / 'none.tflite'}: no such model file"],
    )
