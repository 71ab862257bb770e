"""Measures the whole flow against bare loops over the same model and video, in one run, as ratios.

    python tools/bench.py --video street_720p.mp4 --model MODEL.tflite

Each figure comes from a process of its own, so that none inherits another's memory or warm caches, and the two
sides of a ratio take turns. Absolute times mean little on a shared machine; the ratios hold.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from at_hand import default_model, test_data

SIZE = "256x256"


def main() -> None:
    """Measure everything and print a table, or JSON."""
    options = _options()
    if options.child:
        print(json.dumps(CHILDREN[options.child](options)))
        return
    figures = measure(options)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:44} {value}")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the children in turn and compare them."""
    rounds: list[dict[str, dict[str, float]]] = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds} …", file=sys.stderr)
        rounds.append({name: _child(name, options) for name in CHILDREN})
    first_ms = [_first_pose_ms(options) for _ in range(options.rounds)]

    def median(pick: Callable[[dict[str, dict[str, float]]], float]) -> float:
        return round(statistics.median(pick(each) for each in rounds), 3)

    return {
        "rounds": options.rounds,
        "bare engine loop, ms per inference": median(lambda r: r["engine"]["ms"]),
        "whole flow, ms per frame": median(lambda r: r["flow"]["ms"]),
        "throughput, flow / bare engine (aim >= 0.95)": median(lambda r: r["engine"]["ms"] / r["flow"]["ms"]),
        "added latency p50 ms (<= 4)": median(lambda r: r["paced"]["added_p50_ms"]),
        "added latency p95 ms (<= 10)": median(lambda r: r["paced"]["added_p95_ms"]),
        "first pose after process start, ms (<= 800)": round(statistics.median(first_ms)),
        "peak RSS of the flow, MB (<= 150)": median(lambda r: r["flow"]["rss_mb"]),
        "peak RSS of read-and-invoke, MB": median(lambda r: r["bare"]["rss_mb"]),
        "RSS, flow / read-and-invoke (<= 1.3)": median(lambda r: r["flow"]["rss_mb"] / r["bare"]["rss_mb"]),
    }


def _child(name: str, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", name, "--video", options.video, "--model", options.model]
    command += ["--seconds", str(options.seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _first_pose_ms(options: argparse.Namespace) -> float:
    """Measure from the start of the process to the first message on its stdout."""
    command = [sys.executable, "-m", "edge", "run", "--camera", options.video, "--model", options.model]
    start_s = time.perf_counter()
    with subprocess.Popen([*command, "--jsonl", "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        child.stdout.readline()
        elapsed_s = time.perf_counter() - start_s
        child.terminate()
        child.stdout.read()
    return elapsed_s * 1e3


# Children: each measures one thing in a fresh process


def _engine(options: argparse.Namespace) -> dict[str, float]:
    """Measure LiteRT alone: the same tensor again and again."""
    import numpy as np  # noqa: PLC0415

    interpreter = _bare_interpreter(options)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.full((1, 256, 256, 3), 90, np.uint8))
    for _ in range(5):
        interpreter.invoke()
    count, start_s = 0, time.perf_counter()
    while time.perf_counter() - start_s < options.seconds:
        interpreter.invoke()
        count += 1
    return {"ms": (time.perf_counter() - start_s) * 1e3 / count}


def _bare(options: argparse.Namespace) -> dict[str, float]:
    """Measure what anybody would write: read, resize, invoke."""
    import cv2  # noqa: PLC0415

    interpreter = _bare_interpreter(options)
    index = interpreter.get_input_details()[0]["index"]
    output = interpreter.get_output_details()[0]["index"]
    capture = cv2.VideoCapture(options.video)
    count, start_s = 0, time.perf_counter()
    while True:
        ok, image = capture.read()
        if not ok:
            break
        rgb = cv2.cvtColor(cv2.resize(image, (256, 256)), cv2.COLOR_BGR2RGB)
        interpreter.set_tensor(index, rgb[None])
        interpreter.invoke()
        interpreter.get_tensor(output)
        count += 1
    return {"ms": (time.perf_counter() - start_s) * 1e3 / count, "rss_mb": _peak_rss_mb()}


def _flow(options: argparse.Namespace) -> dict[str, float]:
    """Measure the product: video to JSONL, every frame, one inference thread."""
    stamps_s = _run_product(options, paced=False)
    steady = stamps_s[5:]
    return {"ms": (steady[-1][0] - steady[0][0]) * 1e3 / (len(steady) - 1), "rss_mb": _peak_rss_mb()}


def _paced(options: argparse.Namespace) -> dict[str, float]:
    """Measure the latency that is not inference, at the video's own pace."""
    added_ms = sorted(added for _, added in _run_product(options, paced=True)[5:])
    return {
        "added_p50_ms": added_ms[len(added_ms) // 2],
        "added_p95_ms": added_ms[int(len(added_ms) * 0.95)],
    }


def _run_product(options: argparse.Namespace, *, paced: bool) -> list[tuple[float, float]]:
    """Run the product as its command does; return (time, added latency in ms) of every message as it is encoded."""
    from edge import app  # noqa: PLC0415
    from edge.config import load  # noqa: PLC0415
    from edge.ports import PoseFrame  # noqa: PLC0415
    from edge.publish.jsonl import JsonlFileSink  # noqa: PLC0415

    stamps: list[tuple[float, float]] = []

    class Stamping(JsonlFileSink):
        def write(self, result: PoseFrame) -> None:
            super().write(result)
            now_s = time.monotonic()
            stamps.append((now_s, (now_s - result.frame.time_s) * 1e3 - result.inference_ms))

    def make_sinks(_config: Any, origin: Any, **_: Any) -> list[Any]:
        return [Stamping(Path(os.devnull), origin, max_bytes=10**12)]

    app.make_jsonl = make_sinks  # type: ignore[assignment]  # the one place that looks over its shoulder
    config = load(
        None,
        {"camera.source": options.video, "model.file": options.model, "output.jsonl": os.devnull},
        [f"model.size={SIZE}", "model.threads=1"],
    )
    app.Run(config, app.RunOptions(paced=paced)).run()
    return stamps


def _bare_interpreter(options: argparse.Namespace) -> Any:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    interpreter = Interpreter(model_path=options.model, num_threads=1)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], [1, 256, 256, 3])
    interpreter.allocate_tensors()
    return interpreter


def _peak_rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


CHILDREN: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "engine": _engine,
    "bare": _bare,
    "flow": _flow,
    "paced": _paced,
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", default=test_data("video/street_720p.mp4"), help="a 720p video")
    parser.add_argument("--model", default=default_model(), help="a MultiPose file of dynamic size")
    parser.add_argument("--rounds", type=int, default=5, help="how often each figure is taken; medians are printed")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long the bare engine loop runs")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not (options.video and options.model):
        parser.error("give --video FILE and --model FILE")
    options.video, options.model = str(options.video), str(options.model)
    return options


if __name__ == "__main__":
    main()
