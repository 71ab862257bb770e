from pathlib import Path

import pytest

from edge.errors import UnavailableError
from edge.models.entry import ModelEntry
from edge.models.files import ResolvedModel
from edge.models.manifest import Manifest
from edge.models.placement import Delegate, Placement, place


def entry(name: str, delegate: str = "", cpu_twin: str = "") -> ModelEntry:
    table = {"file": f"{name}.tflite", "kind": "heads", "licence": "none", "sha256": "0" * 64}
    return ModelEntry(name=name, delegate=delegate, cpu_twin=cpu_twin, **table)  # type: ignore[arg-type]


STOCK, BUILD = entry("stock"), entry("stock-edgetpu", "edgetpu", "stock")
LONELY, OTHER = entry("lonely-edgetpu", "edgetpu"), entry("other")
MANIFEST = Manifest("stock", {each.name: each for each in (STOCK, BUILD, LONELY, OTHER)})


def found(model: ModelEntry) -> ResolvedModel:
    return ResolvedModel(model.name, Path(model.file), "mirror", model)


def placed(model: ResolvedModel, delegate: Delegate, *, is_compiled: bool = False, has_tpu: bool = True) -> Placement:
    is_compiled = is_compiled or (model.entry is not None and model.entry.delegate == "edgetpu")
    return place(model, is_compiled=is_compiled, delegate=delegate, manifest=MANIFEST, has_tpu=lambda: has_tpu)


def test_a_compiled_model_runs_on_the_edge_tpu_with_its_twin_behind_it() -> None:
    model = found(BUILD)
    assert placed(model, "auto", has_tpu=False) == Placement(model, STOCK)
    assert placed(model, "edgetpu") == Placement(model, STOCK)


def test_a_compiled_model_that_may_not_use_the_edge_tpu_is_replaced_by_its_twin() -> None:
    assert placed(found(BUILD), "cpu") == Placement(None, STOCK)
    with pytest.raises(UnavailableError, match="no twin for the CPU"):
        placed(found(LONELY), "cpu")


def test_a_stock_model_uses_its_build_for_the_edge_tpu_where_there_is_one() -> None:
    model = found(STOCK)
    assert placed(model, "auto") == Placement(BUILD, model)
    assert placed(model, "auto", has_tpu=False) == Placement(None, model)
    assert placed(model, "cpu") == Placement(None, model)
    assert placed(model, "edgetpu", has_tpu=False) == Placement(BUILD, model)


def test_a_stock_model_without_a_build_runs_on_the_cpu_and_cannot_be_made_to_do_otherwise() -> None:
    assert placed(found(OTHER), "auto") == Placement(None, found(OTHER))
    with pytest.raises(UnavailableError, match="'other' is not compiled for the Edge TPU"):
        placed(found(OTHER), "edgetpu")


def test_a_file_given_by_path_is_what_it_is_whatever_its_name() -> None:
    file = ResolvedModel("stock", Path("stock.tflite"), "path")
    assert placed(file, "auto") == Placement(None, file)
    assert placed(file, "auto", is_compiled=True) == Placement(file, None)
    with pytest.raises(UnavailableError, match="not compiled"):
        placed(file, "edgetpu")
