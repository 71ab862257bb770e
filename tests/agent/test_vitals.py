import threading
from pathlib import Path

from brokers import eventually
from edge.agent.vitals import Vitals, VitalsWatch, read_vitals, written_paths
from edge.config.schema import OutputConfig
from edge.host.power import Throttling
from trees import plant


def test_everything_is_read_from_one_tree(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "sys/class/thermal/thermal_zone0/temp": "48700",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "0",
            "proc/meminfo": "MemAvailable:     1024 kB",
        },
    )
    found = read_vitals({"record": tmp_path}, tmp_path)
    assert found.cpu_temperature_c == 48.7
    assert found.throttling == Throttling.of(0)
    assert found.memory_available_bytes == 1 << 20
    assert (found.disk_free_bytes["record"] or 0) > 0


def test_every_file_that_is_written_has_its_disk_looked_at() -> None:
    output = OutputConfig(record="/mnt/usb/hall.mp4", jsonl="poses.jsonl")
    found = written_paths(output, Path("/var/cache/edge-pose"))
    assert {kind: str(path) for kind, path in found.items()} == {
        "cache": "/var/cache/edge-pose", "record": "/mnt/usb/hall.mp4", "jsonl": "poses.jsonl",
    }  # fmt: skip
    assert list(written_paths(OutputConfig(jsonl="-"), Path("/x"))) == ["cache"]


def test_the_watch_tells_what_was_read_last_and_forgets_no_under_voltage() -> None:
    flags = iter([0x10000, 0, 0])
    done = threading.Event()

    def read() -> Vitals:
        try:
            return Vitals(throttling=Throttling.of(next(flags)))
        except StopIteration:
            done.set()
            return Vitals(throttling=Throttling.of(0x4))

    watch = VitalsWatch(read, interval_s=0.001)
    watch.start()
    assert done.wait(10)
    eventually(lambda: watch.latest().throttling == Throttling.of(0x10004))
    watch.stop()


def test_a_reading_that_hangs_blocks_no_caller_and_old_vitals_are_not_returned() -> None:
    hangs, go_on = threading.Event(), threading.Event()
    readings = iter([Vitals(memory_available_bytes=7)])

    def read() -> Vitals:
        found = next(readings, None)
        if found is None:
            hangs.set()
            go_on.wait(10)
        return found or Vitals()

    watch = VitalsWatch(read, interval_s=0.001, max_age_s=0.0)
    assert watch.latest() == Vitals()
    watch.start()
    assert hangs.wait(10)
    assert watch.latest() == Vitals()
    watch.stop()
    go_on.set()


def test_a_watch_that_has_not_read_yet_knows_nothing() -> None:
    assert VitalsWatch(Vitals).latest() == Vitals()


def test_one_reading_without_an_answer_does_not_make_it_forget_an_under_voltage() -> None:
    readings = iter([Throttling.of(0x10000), None])
    done = threading.Event()

    def read() -> Vitals:
        try:
            return Vitals(throttling=next(readings))
        except StopIteration:
            done.set()
            return Vitals(throttling=Throttling.of(0))

    watch = VitalsWatch(read, interval_s=0.001)
    watch.start()
    assert done.wait(10)
    eventually(lambda: watch.latest().throttling == Throttling.of(0x10000))
    watch.stop()
