"""The benchmark on a tiny model: every figure is there, survives JSON, and fits into a post."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.commands.bench.job import Job
from edge.commands.bench.measure import Plan, _rounded, do, thread_counts
from edge.commands.bench.suite import BenchOptions, run_bench
from edge.commands.bench.table import format_table
from edge.errors import EdgeError, InputError, UnavailableError
from edge.host.board import _cpu, describe_machine
from edge.models.entry import ModelEntry
from edge.models.manifest import load_manifest
from tiny_models import echo_model
from videos import write_video

Figures = dict[str, Any]


def quiet(text: str) -> None:
    assert "\n" not in text


def tiny_of(figures: Figures) -> Any:
    (model,) = (model for model in figures["models"] if model["name"] == "tiny")
    return model


def bench(environ: Mapping[str, str] | None = None, **options: Any) -> Figures:
    return run_bench(BenchOptions(quick=True, threads=(1,), **options), report=quiet, environ=environ)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that works and one that is no pose model."""
    folder = tmp_path_factory.mktemp("mirror")
    echo_model(folder / "tiny.tflite", height=64, width=96)
    echo_model(folder / "other.tflite", height=64, width=96, output_shape=(1, 7))
    lines = ['default = "tiny"']
    for name in ("tiny", "other"):
        digest = hashlib.sha256((folder / f"{name}.tflite").read_bytes()).hexdigest()
        lines += [f"[{name}]", f'file = "{name}.tflite"', f'sha256 = "{digest}"', 'kind = "multipose"']
        lines += ['licence = "Apache-2.0"']
    (folder / "models.toml").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def figures(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Figures:
    """What a user gets who has two models; the video is too short for the plan and begins again."""
    folder = tmp_path_factory.mktemp("cache")
    environ = {"EDGE_POSE_MODEL_MIRROR": str(mirror), "EDGE_POSE_CACHE": str(folder)}
    return bench(environ, video=write_video(folder / "v.mp4", 15, fps=100.0))


def test_every_figure_of_a_model_is_there(figures: Figures) -> None:
    model = tiny_of(figures)
    assert (model["name"], model["kind"], model["dtype"]) == ("tiny", "multipose", "uint8")
    assert model["input_size"] == [96, 64]
    assert [each["threads"] for each in model["threads"]] == [1]
    assert set(model["threads"][0]) == {"threads", "engine_ms", "flow_ms", "throughput_ratio"}
    assert set(model["stages_ms"]) == {"read", "letterbox", "inference", "decode", "track", "smooth", "encode"}
    assert {"added_p50_ms", "added_p95_ms", "first_pose_ms", "bare_loop_ms"} < set(model)
    assert {"flow_rss_mb", "bare_rss_mb", "rss_ratio"} < set(model)
    numbers = [
        *model["stages_ms"].values(),
        *model["threads"][0].values(),
        model["flow_rss_mb"],
        model["first_pose_ms"],
    ]
    assert all(number > 0 for number in numbers)


def test_a_figure_keeps_its_digits_however_small_it_is() -> None:
    assert [_rounded(value) for value in (0.00012345, 0.5, 12.34567, 123.456)] == [0.0001234, 0.5, 12.35, 123.5]


def test_ratios_are_those_of_the_figures(figures: Figures) -> None:
    model = tiny_of(figures)
    first = model["threads"][0]
    assert first["throughput_ratio"] == pytest.approx(first["engine_ms"] / first["flow_ms"], abs=2e-3)
    assert model["rss_ratio"] == pytest.approx(model["flow_rss_mb"] / model["bare_rss_mb"], abs=2e-3)


def test_the_video_is_the_one_given(figures: Figures) -> None:
    assert figures["video"] == {"name": "v.mp4", "size": [96, 64], "fps": 100.0}


def test_the_scene_can_be_written_as_a_video(tmp_path: Path) -> None:
    job = Job(task="", video=str(tmp_path / "scene.mp4"), frames=3)
    do(job, "render")
    assert do(job, "video") == {"size": [1280, 720], "fps": 25.0}


def test_a_model_that_cannot_be_loaded_is_left_out_with_its_reason(figures: Figures) -> None:
    (other,) = figures["left_out"]
    assert other["name"] == "other"
    assert "not a pose model" in other["reason"]
    assert "left out: other: not a pose model" in format_table(figures)


def test_figures_survive_json(figures: Figures) -> None:
    again = json.loads(json.dumps(figures))
    assert again == figures
    assert format_table(again) == format_table(figures)


def test_the_first_line_says_machine_and_version(figures: Figures) -> None:
    first = format_table(figures).splitlines()[0]
    machine = figures["machine"]
    assert first.startswith(f"edge-pose {figures['version']} on {(machine['board'] or machine['cpu'])[:20]}")
    assert figures["machine"]["cores"] == describe_machine()["cores"]
    assert set(figures["libraries"]) > {"numpy", "opencv"}


def test_the_table_fits_into_eighty_columns_whatever_the_names(figures: Figures) -> None:
    model = tiny_of(figures)
    cold, hot = {"temperature_c": 48.7, "throttled": False}, {"temperature_c": 81.0, "throttled": True}
    long = {
        **figures,
        "heat": {"before": cold, "after": hot},
        "machine": {**figures["machine"], "board": "Raspberry Pi 4 Model B Rev 1.5 with a very long name " * 2},
        "models": [
            {**model, "name": "n" * 120, "threads": [{**model["threads"][0], "threads": count} for count in (1, 2, 4)]},
        ],
        "left_out": [{"name": "other", "reason": "for a reason that takes long to tell " * 4}],
    }
    table = format_table(long)
    assert max(map(len, table.splitlines())) <= 80
    assert "temperature: 48.7 -> 81.0 degrees Celsius" in table
    assert "slowed down by heat or weak power: no -> yes" in table


@pytest.mark.parametrize(("load", "busy"), [(0.3, False), (1.9, False), (2.1, True)])
def test_a_busy_machine_is_called_so(figures: Figures, load: float, busy: bool) -> None:
    table = format_table({**figures, "machine": {**figures["machine"], "cores": 4, "load": load}})
    assert ("busy: a load of" in table) == busy


def test_a_machine_without_sensors_has_no_line_for_them(figures: Figures) -> None:
    unknown = {"temperature_c": None, "throttled": None}
    table = format_table({**figures, "heat": {"before": unknown, "after": unknown}})
    assert "temperature" not in table
    assert "slowed down" not in table


def test_a_model_that_is_nowhere_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"^model '[\w-]+' is not on this machine .*--model FILE") as raised:
        bench({"EDGE_POSE_CACHE": str(tmp_path)}, model=load_manifest().default)
    assert raised.value.exit_code == 69
    assert "\n" not in str(raised.value)


def test_a_model_by_name_that_is_not_here_is_fetched(tmp_path: Path) -> None:
    asked: list[str] = []

    def fetch(entry: ModelEntry) -> Path:
        asked.append(entry.name)
        raise UnavailableError("no network")

    name = load_manifest().default
    with pytest.raises(UnavailableError, match="no network"):
        run_bench(BenchOptions(model=name), report=quiet, fetch=fetch, environ={"EDGE_POSE_CACHE": str(tmp_path)})
    assert asked == [name]


def test_where_no_other_model_is_the_starter_is_measured_and_the_default_named(tmp_path: Path) -> None:
    reported: list[str] = []
    options = BenchOptions(quick=True, threads=(1,), video=write_video(tmp_path / "v.mp4", 15, fps=100.0))
    figures = run_bench(options, report=reported.append, environ={"EDGE_POSE_CACHE": str(tmp_path)})
    assert [model["name"] for model in figures["models"]] == ["starter"]
    default = load_manifest().default
    assert reported[0] == f"the default, {default}, is not here: edge-pose models fetch {default}"


def test_a_model_by_name_that_cannot_be_loaded_ends_it(mirror: Path) -> None:
    with pytest.raises(EdgeError, match="not a pose model"):
        bench({"EDGE_POSE_MODEL_MIRROR": str(mirror)}, model="other")


def test_a_model_asked_for_by_path_fails_as_a_run_would(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such model file"):
        bench(model=str(tmp_path / "none.tflite"))
    text = tmp_path / "text.tflite"
    text.write_text("no model")
    with pytest.raises(EdgeError, match="not a TFLite model") as raised:
        bench(model=str(text), video=write_video(tmp_path / "v.mp4"))
    assert raised.value.exit_code == 66


def test_a_video_that_is_not_there_ends_with_66(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="no such file") as raised:
        bench(model=str(tiny), video=tmp_path / "none.mp4")
    assert raised.value.exit_code == 66


def test_a_task_that_crashes_ends_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"measuring 'engine' ended with code 1: ValueError: .*none\.tflite"):
        do(Job(task="", model=str(tmp_path / "none.tflite")), "engine")


def test_a_slow_model_gets_fewer_frames_but_enough() -> None:
    plan = Plan(rounds=1, threads=(1,), engine_s=1, flow_s=7, frames=175, fps=25)
    assert plan.frames_for(16) == 175
    assert plan.frames_for(100) == 70
    assert plan.frames_for(2000) == 20
    assert plan.frames_for(1, paced=True) == 175


def test_one_thread_is_always_measured() -> None:
    assert thread_counts()[0] == 1
    assert list(thread_counts()) == sorted(set(thread_counts()))


def test_the_name_of_the_cpu_is_found_on_intel_and_arm() -> None:
    assert _cpu("processor\t: 0\nmodel name\t: AMD EPYC 7B13\n") == "AMD EPYC 7B13"
    assert _cpu("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n") == "Cortex-A76"
    assert _cpu("CPU part\t: 0xabc\n") == "ARM part 0xabc"
    assert _cpu("")
