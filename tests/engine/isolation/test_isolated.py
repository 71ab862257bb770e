"""An engine in a process of its own: whatever happens in there, the parent gets an answer or an error, in time."""

import gc
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from brokers import eventually
from builders import ramp
from data import model, needs_models
from edge.engine.isolation.isolated import Deadlines, IsolatedEngine
from edge.engine.isolation.wire import Described, Job, decode, encode
from edge.engine.litert import LiteRtEngine
from edge.errors import EdgeError, EngineLostError, ModelError, UnavailableError
from edge.host.machine import rss_bytes
from edge.models.files import resolve
from edge.models.manifest import load_manifest
from edge.models.places import places
from edge.ports import ModelSpec
from edge.poses.head_maps import HeadsSpec, MapSpec
from edgetpu_double import Double, compiled_model, needs_compiler
from tiny_models import heads_model

pytestmark = needs_compiler

PATIENT = Deadlines(start_s=60, inference_s=60)
HURRIED = Deadlines(start_s=60, inference_s=0.3)


@pytest.fixture
def double(tmp_path: Path) -> Double:
    return Double(tmp_path / "lib")


@pytest.fixture
def job(tmp_path: Path, double: Double) -> Job:
    return Job(path=str(compiled_model(tmp_path / "m.tflite")), name="own", library=str(double.library))


@pytest.fixture
def engine(job: Job) -> Iterator[IsolatedEngine]:
    engine = IsolatedEngine(job, deadlines=PATIENT)
    engine.start()
    yield engine
    engine.close()


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def open_descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def start_error(job: Job, deadlines: Deadlines = PATIENT) -> EdgeError:
    engine = IsolatedEngine(job, deadlines=deadlines)
    with pytest.raises(EdgeError) as caught:
        engine.start()
    assert engine.pid == 0
    return caught.value


def test_an_inference_in_the_process_gives_what_the_model_says(engine: IsolatedEngine) -> None:
    assert engine.spec == ModelSpec("own", "multipose", (64, 32), "uint8", None, "edgetpu")
    for turn in range(3):
        (rows,) = engine.run(ramp() + turn)
        np.testing.assert_array_equal(rows.ravel(), (ramp() + turn).ravel()[:336])


def test_all_maps_of_a_heads_model_come_through(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    shapes = {"center": 1, "heatmap": 17, "regression": 34, "offset": 34}
    maps: dict[str, tuple[NDArray[Any], tuple[float, int] | None]] = {
        name: (rng.integers(-128, 128, (1, 24, 40, channels)).astype(np.int8), (0.05 * channels, -7))
        for name, channels in shapes.items()
    }
    path = heads_model(tmp_path / "h.tflite", maps)
    inside = LiteRtEngine(path, name="h")
    engine = IsolatedEngine(Job(path=str(path), name="h"), deadlines=PATIENT)
    spec = engine.start()
    outputs = engine.run(np.zeros((1, 96, 160, 3), np.uint8))
    for ours, expected in zip(outputs, inside.run(np.zeros((1, 96, 160, 3), np.uint8)), strict=True):
        np.testing.assert_array_equal(ours, expected)
    engine.close()
    assert spec.heads is not None
    assert spec.heads.size == (40, 24)
    assert [each.scale[0] for each in spec.heads.maps] == [each.scale[0] for each in inside.spec.heads.maps]  # type: ignore[union-attr]


def test_what_a_model_is_survives_the_way_to_the_parent() -> None:
    codes = (np.arange(256) - 128).astype(np.int8)
    maps = tuple(MapSpec("int8", np.full(c, 0.1 * c, np.float32), np.arange(c, dtype=np.float32)) for c in (1, 17))
    spec = ModelSpec("own", "heads", (320, 192), "int8", codes, "edgetpu", HeadsSpec((80, 48), maps, logits=False))
    reply = decode(encode(Described(spec)))
    assert isinstance(reply, Described)
    assert reply.spec.input_codes is not None
    assert reply.spec.input_codes.dtype == np.int8
    np.testing.assert_array_equal(reply.spec.input_codes, codes)
    heads = reply.spec.heads
    assert heads is not None
    assert (heads.size, heads.logits, [each.dtype for each in heads.maps]) == ((80, 48), False, ["int8", "int8"])
    for ours, expected in zip(heads.maps, maps, strict=True):
        np.testing.assert_array_equal(ours.scale, expected.scale)
        np.testing.assert_array_equal(ours.shift, expected.shift)


@needs_models
def test_a_model_of_dynamic_size_gets_the_size_that_was_asked_for() -> None:
    where = places(os.environ)
    path = resolve(None, load_manifest(where.mirror), where).path
    engine = IsolatedEngine(Job(path=str(path), name="m", input_size=(160, 96)), deadlines=PATIENT)
    spec = engine.start()
    assert (spec.input_size, spec.accelerator) == ((160, 96), "cpu")
    assert engine.run(np.zeros((1, 96, 160, 3), np.uint8))[0].shape == (1, 6, 56)
    engine.close()


def test_a_process_that_is_killed_during_an_inference_is_an_error_of_that_inference(
    engine: IsolatedEngine, double: Double
) -> None:
    double.tell("hang")
    pid, errors = engine.pid, []

    def infer() -> None:
        with pytest.raises(EngineLostError) as caught:
            engine.run(ramp())
        errors.append(str(caught.value))

    thread = threading.Thread(target=infer)
    thread.start()
    eventually(lambda: double.hangs)
    os.kill(pid, signal.SIGKILL)
    thread.join(30)
    assert errors == ["its process was ended by SIGKILL"]
    assert is_gone(pid)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("hang", "its process hangs"),
        ("abort", "its process was ended by SIGABRT"),
        ("fail", "inference failed: the device is gone"),
    ],
)
def test_an_inference_that_goes_wrong_says_how_and_leaves_no_process(
    job: Job, double: Double, word: str, message: str
) -> None:
    engine = IsolatedEngine(job, deadlines=HURRIED)
    engine.start()
    pid = engine.pid
    double.tell(word)
    with pytest.raises(EngineLostError, match=message):
        engine.run(ramp())
    assert is_gone(pid)
    with pytest.raises(EngineLostError, match="not running"):
        engine.run(ramp())


@pytest.mark.parametrize(
    ("word", "kind", "message"),
    [
        ("refuse", EngineLostError, "no device.*plugged in.*plugdev"),
        ("abort-load", UnavailableError, "crashed as it started .*SIGABRT.*install a libedgetpu"),
        ("abort", UnavailableError, "crashed as it started .*SIGABRT.*install a libedgetpu"),
        ("fail", EngineLostError, "the device is gone"),
    ],
)
def test_a_delegate_that_does_not_come_up_is_one_line_and_the_model_is_known_all_the_same(
    job: Job, double: Double, word: str, kind: type[EdgeError], message: str
) -> None:
    double.tell(word)
    engine = IsolatedEngine(job, deadlines=PATIENT)
    with pytest.raises(kind, match=message) as caught:
        engine.start()
    assert "\n" not in str(caught.value)
    assert engine.spec is not None
    assert engine.spec.input_size == (64, 32)


def test_a_delegate_that_hangs_while_it_is_loaded_is_given_up(job: Job, double: Double) -> None:
    double.tell("hang-load")
    for start_s in (2, 8, 32):  # a busy machine may not even have loaded it by then
        error = start_error(job, Deadlines(start_s=start_s))
        if double.hangs:
            break
    assert isinstance(error, EngineLostError)
    assert "did not start: its process hangs" in str(error)
    assert double.hangs


@pytest.mark.parametrize(
    ("library", "words"),
    [("libedgetpu-of-nowhere.so.1", "no Edge TPU runtime"), ("libm.so.6", "is no TFLite delegate")],
)
def test_a_library_that_is_missing_or_another_one_names_what_to_install(job: Job, library: str, words: str) -> None:
    error = start_error(Job(path=job.path, name="own", library=library))
    assert isinstance(error, UnavailableError)
    assert words in str(error)
    assert "feranick/libedgetpu" in str(error)


@needs_models
def test_googles_compiled_file_is_known_without_an_edge_tpu() -> None:
    path = model("movenet_singlepose_lightning_int8_edgetpu.tflite")
    engine = IsolatedEngine(Job(path=str(path), name="m", library="libedgetpu-of-nowhere.so.1"), deadlines=PATIENT)
    with pytest.raises(UnavailableError, match="no Edge TPU runtime"):
        engine.start()
    assert engine.spec is not None
    assert (engine.spec.kind, engine.spec.input_size, engine.spec.input_dtype) == ("singlepose", (192, 192), "uint8")


def test_a_damaged_model_is_the_models_fault(tmp_path: Path, job: Job) -> None:
    path = tmp_path / "half.tflite"
    path.write_bytes(Path(job.path).read_bytes()[:100])
    assert isinstance(start_error(Job(path=str(path), name="own", library=job.library)), ModelError)


def test_what_stops_the_agent_does_not_stop_the_process_before_the_agent_says_so(engine: IsolatedEngine) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(engine.pid, number)
        engine.run(ramp())


def test_the_process_writes_nothing_to_the_agents_stdout(engine: IsolatedEngine) -> None:
    assert Path(f"/proc/{engine.pid}/fd/1").readlink() == Path("/dev/null")


def test_the_process_holds_none_of_the_agents_files(job: Job, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        engine = IsolatedEngine(job, deadlines=PATIENT)
        engine.start()
        held = {link.readlink() for link in Path(f"/proc/{engine.pid}/fd").iterdir()}
        engine.close()
    assert tmp_path / "secret" not in held


def test_another_thread_can_end_a_wait_for_a_process_that_hangs(engine: IsolatedEngine, double: Double) -> None:
    double.tell("hang")
    pid = engine.pid

    def end() -> None:
        eventually(lambda: double.hangs)
        engine.abort()

    helper = threading.Thread(target=end)
    helper.start()
    with pytest.raises(EngineLostError):
        engine.run(ramp())
    helper.join()
    assert is_gone(pid)


PARENT = """
import sys
import numpy as np
from edge.engine.isolation.isolated import Deadlines, IsolatedEngine
from edge.engine.isolation.wire import Job

engine = IsolatedEngine(Job(path=sys.argv[1], name="own", library=sys.argv[2]), deadlines=Deadlines(60, 60))
engine.start()
print(engine.pid, flush=True)
sys.stdin.readline()
engine.run(np.zeros((1, 32, 64, 3), np.uint8))
print("done", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("hangs", [False, True])
def test_a_parent_that_is_killed_takes_the_process_and_its_memory_along(job: Job, double: Double, hangs: bool) -> None:
    before = sorted(Path("/dev/shm").iterdir())
    command = [sys.executable, "-c", PARENT, job.path, job.library]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        double.tell("hang" if hangs else "")
        parent.stdin.write("go\n")
        parent.stdin.flush()
        if hangs:
            eventually(lambda: double.hangs)
        else:
            assert parent.stdout.readline() == "done\n"
        parent.kill()
    ended = select.poll()
    ended.register(child, select.POLLIN)
    assert ended.poll(10_000), "the engine's process outlived its parent"
    os.close(child)
    assert sorted(Path("/dev/shm").iterdir()) == before


def test_an_engine_that_is_closed_holds_no_descriptor_though_somebody_holds_the_engine(job: Job) -> None:
    before = open_descriptors()
    engine = IsolatedEngine(job, deadlines=PATIENT)
    engine.start()
    engine.run(ramp())
    assert open_descriptors() > before
    engine.close()
    assert open_descriptors() == before


def test_twenty_lost_processes_leave_no_descriptor_no_zombie_and_no_memory(job: Job, double: Double) -> None:
    engine = IsolatedEngine(job, deadlines=PATIENT)

    def lose(word: str) -> None:
        double.tell()
        engine.start()
        pid = engine.pid
        engine.run(ramp())
        double.tell(word)
        with pytest.raises(EngineLostError):
            engine.run(ramp())
        assert is_gone(pid)

    for word in ("abort", "fail"):
        lose(word)
    descriptors, memory = open_descriptors(), rss_bytes()
    for turn in range(18):
        lose("abort" if turn % 2 else "fail")
    assert open_descriptors() == descriptors
    after = rss_bytes()
    assert memory is not None
    assert after is not None
    assert after - memory < 1_500_000  # 83 kB each
