"""The Edge TPU lost and found: its process is restarted, the CPU takes over and hands back."""

import functools
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from brokers import eventually
from builders import ramp
from edge.engine.fallback import FallbackEngine, RetryPolicy
from edge.engine.isolation.isolated import Deadlines, IsolatedEngine
from edge.engine.isolation.wire import Job
from edge.engine.litert import LiteRtEngine
from edge.errors import ConfigError, EngineLostError, ModelError, UnavailableError
from edge.ports import Engine
from edgetpu_double import Double, compiled_model, needs_compiler
from tiny_models import echo_model
from tiny_pose_nets import tiny_float_heads

pytestmark = needs_compiler

LOST = "Edge TPU lost, running on the CPU"
AWAY = "Edge TPU lost, no poses until it is back"
EAGER = RetryPolicy(first_probe_s=0.02, last_probe_s=0.05)
SLUGGISH = RetryPolicy(first_probe_s=3600, last_probe_s=3600)


class Bench:
    """A machine with the double in place of an Edge TPU, and engines on it that are closed at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.double = Double(folder / "lib")
        self.job = Job(path=str(compiled_model(folder / "tpu.tflite")), name="own", library=str(self.double.library))
        self.made: list[IsolatedEngine] = []
        self.reported: list[tuple[str | None, str]] = []
        self.engines: list[FallbackEngine] = []
        self.twins: list[LiteRtEngine] = []
        self.devices = ["usb"]

    def make(self) -> IsolatedEngine:
        self.made.append(IsolatedEngine(self.job, deadlines=Deadlines(60, 60)))
        return self.made[-1]

    def load_twin(self, input_size: tuple[int, int]) -> Engine:
        twin = LiteRtEngine(echo_model(self.folder / "cpu.tflite"), name="twin")
        assert twin.size_for(input_size).input_size == (64, 32)
        self.twins.append(twin)
        return twin

    def engine(
        self,
        retry_policy: RetryPolicy = EAGER,
        *,
        load_twin: Callable[[tuple[int, int]], Engine] | None = None,
        has_twin: bool = True,
        is_required: bool = False,
    ) -> FallbackEngine:
        engine = FallbackEngine(
            self.make,
            (load_twin or self.load_twin) if has_twin else None,
            name="own",
            watcher=lambda accelerator, problem: self.reported.append((accelerator, problem)),
            is_required=is_required,
            retry_policy=retry_policy,
            devices=lambda: tuple(self.devices),
        )
        self.engines.append(engine)
        return engine

    def reported_in_short(self) -> list[tuple[str | None, str]]:
        """Return what was reported, without the reasons."""
        return [(accelerator, problem.partition(":")[0]) for accelerator, problem in self.reported]

    def lose(self, engine: FallbackEngine) -> None:
        """Run until the Edge TPU infers, then kill its process in the next inference."""
        eventually(lambda: ran_on(engine) == "edgetpu")
        os.kill(self.made[-1].pid, signal.SIGKILL)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for engine in bench.engines:
        engine.close()


def ran_on(engine: FallbackEngine) -> str:
    """Infer, compare with what is expected, and return what did it; "" when nothing could."""
    try:
        (rows,) = engine.run(ramp())
    except EngineLostError:
        return ""
    np.testing.assert_array_equal(rows.ravel(), ramp().ravel()[:336])
    return engine.spec.accelerator


def refusal(engine: FallbackEngine) -> str:
    """Infer, and say why that was not possible; "" when it was."""
    try:
        engine.run(ramp())
    except EngineLostError as error:
        return str(error)
    return ""


def test_one_crash_costs_a_frame_or_two_and_no_twin(bench: Bench) -> None:
    engine = bench.engine(SLUGGISH)
    bench.lose(engine)
    assert ran_on(engine) == ""
    eventually(functools.partial(ran_on, engine))
    assert engine.spec.accelerator == "edgetpu"
    assert bench.reported == [("edgetpu", ""), (None, AWAY), ("edgetpu", "")]
    assert bench.twins == []


def test_after_three_crashes_in_a_row_the_cpu_takes_over_and_gives_back(bench: Bench) -> None:
    engine = bench.engine()
    bench.lose(engine)
    assert ran_on(engine) == ""
    bench.lose(engine)
    assert ran_on(engine) == ""
    bench.lose(engine)
    bench.double.tell("refuse")
    assert ran_on(engine) == "cpu"
    assert [ran_on(engine) for _ in range(20)] == ["cpu"] * 20
    bench.double.tell()
    eventually(lambda: ran_on(engine) == "edgetpu")
    away = [(None, AWAY), ("edgetpu", "")]
    assert bench.reported == [("edgetpu", ""), *away, *away, ("cpu", LOST), ("edgetpu", "")]
    assert not bench.twins[0]._sized, "the twin is let go of"


def test_the_twin_may_be_made_smaller_and_never_larger_than_it_came(bench: Bench) -> None:
    twin = LiteRtEngine(tiny_float_heads(bench.folder / "heads.tflite"), name="twin")

    def load(input_size: tuple[int, int]) -> LiteRtEngine:
        twin.level = 1
        twin.size_for(input_size)
        return twin

    bench.double.tell("refuse")
    engine = bench.engine(load_twin=load)
    assert (engine.choices, engine.level) == (((64, 32),), 0)
    engine.run(ramp())
    assert engine.choices == twin.choices[1:]
    assert (engine.level, engine.spec.input_size) == (0, twin.choices[1])
    engine.level = 1
    engine.run(ramp())
    assert (engine.level, engine.spec.input_size) == (1, twin.choices[2])


def test_a_hundred_good_inferences_make_up_for_the_failures_before_them(bench: Bench) -> None:
    engine = bench.engine(SLUGGISH)
    for _ in range(4):
        bench.lose(engine)
        assert ran_on(engine) == ""
        eventually(functools.partial(ran_on, engine))
        assert {ran_on(engine) for _ in range(100)} == {"edgetpu"}
    assert bench.twins == []


def test_an_edge_tpu_that_fails_again_right_after_its_return_gets_no_second_and_third_chance(bench: Bench) -> None:
    bench.double.tell("refuse")
    engine = bench.engine()
    assert ran_on(engine) == "cpu"
    bench.double.tell()
    bench.lose(engine)
    bench.double.tell("refuse")
    assert ran_on(engine) == "cpu"
    assert bench.reported_in_short() == [("cpu", "running on the CPU"), ("edgetpu", ""), ("cpu", LOST)]


def test_an_edge_tpu_that_never_was_there_is_not_lost_but_told_with_what_to_look_at(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.double.tell("refuse")
    engine = bench.engine()
    assert ran_on(engine) == "cpu"
    ((_, problem),) = bench.reported
    assert problem.startswith("running on the CPU: the Edge TPU cannot be used (")
    assert problem.endswith("is it plugged in, does another program hold it, is this user in the group plugdev?")
    bench.double.tell()
    eventually(lambda: ran_on(engine) == "edgetpu")
    assert "engine: the Edge TPU is there" in caplog.messages


def test_a_library_that_goes_away_while_it_runs_is_told_with_what_to_install(bench: Bench) -> None:
    engine = bench.engine()
    bench.lose(engine)
    bench.job = Job(path=bench.job.path, name="own", library="libedgetpu-of-nowhere.so.1")
    eventually(lambda: ran_on(engine) == "cpu")
    accelerator, problem = bench.reported[-1]
    assert accelerator == "cpu"
    assert problem.startswith(f"{LOST}: no Edge TPU runtime (libedgetpu-of-nowhere.so.1: ")
    assert "install a libedgetpu that goes with the TFLite runtime" in problem


def test_what_is_lost_once_the_run_ends_is_neither_restarted_nor_reported(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    engine = bench.engine()
    bench.lose(engine)
    engine.retire()
    assert [ran_on(engine), ran_on(engine)] == ["", ""]
    engine.close()
    assert len(bench.made) == 1
    assert bench.reported == [("edgetpu", "")]
    assert not [text for text in caplog.messages if text.startswith("engine: ")]


def test_an_attempt_that_fails_once_the_run_ends_is_not_repeated_and_not_reported(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    engine = bench.engine()
    bench.lose(engine)
    bench.double.tell("refuse")
    assert ran_on(engine) == ""
    reported = list(bench.reported)
    caplog.clear()
    engine.retire()
    eventually(lambda: "the Edge TPU cannot be used" in refusal(engine))
    assert [ran_on(engine), ran_on(engine)] == ["", ""]
    assert (len(bench.made), bench.reported, bench.twins) == (2, reported, [])
    assert not [text for text in caplog.messages if text.startswith("engine: ")]


def test_the_cpu_goes_on_to_the_end_of_the_run(bench: Bench) -> None:
    bench.double.tell("refuse")
    engine = bench.engine(SLUGGISH)
    assert ran_on(engine) == "cpu"
    engine.retire()
    assert ran_on(engine) == "cpu"


def test_a_twin_is_not_loaded_once_the_run_ends(bench: Bench) -> None:
    bench.double.tell("refuse")
    engine = bench.engine(SLUGGISH)
    engine.retire()
    assert ran_on(engine) == ""
    assert (bench.twins, bench.reported) == ([], [])


def test_without_a_twin_nothing_is_inferred_until_the_device_is_there(bench: Bench) -> None:
    bench.double.tell("refuse")
    engine = bench.engine(has_twin=False)
    assert engine.size_for((1280, 720)).input_size == (64, 32)
    assert ran_on(engine) == ""
    assert ran_on(engine) == ""
    bench.double.tell()
    eventually(lambda: ran_on(engine) == "edgetpu")
    assert bench.reported_in_short() == [(None, "no poses"), ("edgetpu", "")]


def test_a_device_that_is_plugged_in_is_tried_at_once(bench: Bench) -> None:
    bench.double.tell("refuse")
    engine = bench.engine(SLUGGISH)
    assert ran_on(engine) == "cpu"
    bench.double.tell()
    bench.devices.append("usb, the other port")
    eventually(lambda: ran_on(engine) == "edgetpu")


def test_a_missing_library_leaves_the_cpu_unless_the_edge_tpu_was_asked_for_by_name(bench: Bench) -> None:
    bench.job = Job(path=bench.job.path, name="own", library="libedgetpu-of-nowhere.so.1")
    assert ran_on(bench.engine(SLUGGISH)) == "cpu"
    ((_, problem),) = bench.reported
    assert problem.startswith("running on the CPU: no Edge TPU runtime (libedgetpu-of-nowhere.so.1: ")
    assert "install a libedgetpu that goes with the TFLite runtime" in problem
    for is_required, has_twin in ((True, True), (False, False)):
        with pytest.raises(UnavailableError, match=r"own is compiled for the Edge TPU: no Edge TPU runtime .*install"):
            bench.engine(SLUGGISH, is_required=is_required, has_twin=has_twin)


def test_a_device_that_is_missing_is_waited_for_even_when_asked_for_by_name(bench: Bench) -> None:
    bench.double.tell("refuse")
    assert ran_on(bench.engine(SLUGGISH, is_required=True)) == "cpu"


def test_a_model_that_is_damaged_or_has_another_size_is_refused_at_the_start(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "half.tflite").write_bytes(Path(bench.job.path).read_bytes()[:90])
    job, bench.job = bench.job, Job(path=str(tmp_path / "half.tflite"), name="own", library=bench.job.library)
    with pytest.raises(ModelError, match="damaged"):
        bench.engine()
    bench.job = Job(path=job.path, name="own", library=job.library, input_size=(96, 96))
    with pytest.raises(ConfigError, match="fixed at 32x64"):
        bench.engine()


def test_a_twin_that_cannot_be_loaded_is_as_good_as_none(bench: Bench) -> None:
    def load(input_size: tuple[int, int]) -> Engine:
        raise ModelError(f"damaged, {input_size}")

    bench.double.tell("refuse")
    engine = bench.engine(load_twin=load)
    assert [ran_on(engine) for _ in range(3)] == [""] * 3
    bench.double.tell()
    eventually(lambda: ran_on(engine) == "edgetpu")


@pytest.mark.parametrize(("dtype", "quantization"), [("int8", (1.0, -128)), ("float32", None)])
def test_a_twin_of_another_dtype_and_size_gets_the_same_picture(
    bench: Bench, tmp_path: Path, dtype: str, quantization: tuple[float, int] | None
) -> None:
    def load(input_size: tuple[int, int]) -> Engine:
        path = echo_model(tmp_path / "own.tflite", dtype=dtype, quantization=quantization, height=64, width=96)
        twin = LiteRtEngine(path, name="twin")
        twin.size_for(input_size)
        return twin

    bench.double.tell("refuse")
    engine = bench.engine(load_twin=load)
    picture = np.zeros((1, 32, 64, 3), np.uint8)
    picture[:, :, 32:] = (200, 100, 50)  # the right half
    (rows,) = engine.run(picture)
    pixels = np.resize(rows.ravel(), (112, 3))  # the first of 96 x 64
    assert engine.spec.input_size == (96, 64)
    np.testing.assert_allclose(pixels[:46], 0, atol=1)
    np.testing.assert_allclose(pixels[50:95], np.tile((200, 100, 50), (45, 1)), atol=1)


def test_closing_ends_a_process_that_hangs_on_its_way_up(bench: Bench) -> None:
    engine = bench.engine()
    bench.lose(engine)
    bench.double.tell("hang-load")
    assert ran_on(engine) == ""
    eventually(lambda: bench.double.hangs)
    pid = bench.made[-1].pid
    engine.close()
    assert not Path(f"/proc/{pid}").exists()


def test_the_wait_between_two_attempts_grows_up_to_its_limit() -> None:
    backoff = RetryPolicy(max_failures=3, first_probe_s=5, last_probe_s=30).backoff()
    waits = [backoff.next_s() for _ in range(5)]
    assert waits == [5, 10, 20, 30, 30]
