"""The process that an isolated engine runs in: loads a model and its delegate, then infers what it is asked to.

Started as `python -m edge.engine.worker DESCRIPTOR PARENT`: the socket to the parent, and the parent's process id.
Whatever a vendor's library does in here, the parent lives on.
"""

# ruff: noqa: PLC0415 - a runtime that is missing or broken has to be told over the socket, so it is imported late

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.engine.isolation.shared import create_memory, lay_out, map_memory
from edge.engine.isolation.wire import RUN, Described, Done, Failed, Job, Ready, Reply, encode, read_job
from edge.errors import EdgeError, EngineLostError, ModelError

if TYPE_CHECKING:
    from edge.engine.litert import LiteRtEngine
    from edge.ports import ModelSpec

__all__ = ["main"]

MAX_JOB_BYTES = 1 << 16
MAX_TEXT_CHARACTERS = 500
SQUARE = (256, 256)
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Serve one parent until it is gone."""
    link, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    _depend_on(parent)
    with contextlib.suppress(OSError, ValueError):  # a service may not
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # crashes are expected, and would fill an SD card
    try:
        _serve(link)
    except EdgeError as error:
        _send(link, Failed(type(error).__name__, str(error)[:MAX_TEXT_CHARACTERS]))
    except ConnectionError:
        pass  # the parent has gone
    os._exit(0)  # no clean-up by libraries that may hang in it


def _depend_on(parent: int) -> None:
    """Die with the parent, however it ends, and of nothing that is meant for it: it says when to stop."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)  # it died before the line above


def _serve(link: socket.socket) -> None:
    engine, spec = _load(link, read_job(link.recv(MAX_JOB_BYTES)))
    width, height = spec.input_size
    blank = np.zeros((1, height, width, 3), spec.input_dtype)
    try:
        first = engine.run(blank)  # the slow one: the model goes to the device
    except ModelError as error:
        raise EngineLostError(str(error)) from error
    places = lay_out([blank, *first])
    memory = create_memory(places)
    tensor, *outputs = map_memory(memory, places)
    socket.send_fds(link, [encode(Ready(spec, places[0], places[1:]))], [memory])
    os.close(memory)
    del blank, first
    while link.recv(len(RUN)):
        for shared, output in zip(outputs, engine.run(tensor), strict=True):
            np.copyto(shared, output)
        _send(link, Done())


def _load(link: socket.socket, job: Job) -> "tuple[LiteRtEngine, ModelSpec]":
    from edge.engine.litert import LiteRtEngine

    path = Path(job.path)
    if not job.library:
        engine = LiteRtEngine(path, name=job.name, threads=job.threads, input_size=job.input_size)
        return engine, engine.size_for(SQUARE)
    from edge.engine.delegate import describe, load

    _send(link, Described(describe(path, job.name)))
    delegates = [load(job.library)]
    try:
        engine = LiteRtEngine(path, name=job.name, threads=job.threads, input_size=job.input_size, delegates=delegates)
    except ModelError as error:
        raise EngineLostError(f"the Edge TPU cannot be given the model: {error}") from error
    return engine, replace(engine.spec, accelerator="edgetpu")


def _send(link: socket.socket, reply: Reply) -> None:
    link.send(encode(reply))


if __name__ == "__main__":
    main()
