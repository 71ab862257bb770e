"""Engine `isolated`: runs a model in a child process.

A vendor's library that crashes or hangs there does not take the agent along.
"""

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import errors
from edge.engine.coral import ADVICE
from edge.engine.isolation.child import Child
from edge.engine.isolation.shared import map_memory
from edge.engine.isolation.wire import RUN, Described, Failed, Job, Ready
from edge.errors import EdgeError, EngineLostError, ModelError, UnavailableError
from edge.ports import ModelSpec

__all__ = ["Deadlines", "IsolatedEngine"]

NATIVE_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Timeouts after which a silent process counts as hung.

    Attributes:
        start_s: from its start to the end of its first inference, which loads the model onto the device.
        inference_s: each one after that.
    """

    start_s: float = 30.0
    inference_s: float = 3.0


class IsolatedEngine:
    """A model in a child process; call `start` before `run`.

    The process ends with the thread that called `start`.

    Args:
        job: the model and the delegate to load.
        deadlines: after which the process is killed.

    Attributes:
        spec: of the model; None until the process has read the file, which is before it loads the delegate.
    """

    def __init__(self, job: Job, *, deadlines: Deadlines = Deadlines()) -> None:
        self._job = job
        self._deadlines = deadlines
        self._child: Child | None = None
        self._tensor: NDArray[Any] = np.empty(0)
        self._outputs: tuple[NDArray[Any], ...] = ()
        self.spec: ModelSpec | None = None

    @property
    def pid(self) -> int:
        """Process id; 0 while there is no process."""
        return 0 if self._child is None else self._child.pid

    def start(self) -> ModelSpec:
        """Start the process and wait for its first inference.

        Raises:
            ModelError: the file is damaged or of a kind that cannot be decoded.
            UnavailableError: a library is missing, or too old for the runtime.
            EngineLostError: no device, or it cannot be used now; a later attempt may succeed.
        """
        deadline_s = time.monotonic() + self._deadlines.start_s
        self._child = Child(self._job)
        try:
            while not self._is_ready(self._child, deadline_s):
                pass
        except EdgeError:
            self.close()
            raise
        assert self.spec is not None
        return self.spec

    def run(self, tensor: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Infer `tensor`; the next call overwrites the outputs.

        Args:
            tensor: (1, H, W, 3) of the spec's size and dtype.

        Raises:
            EngineLostError: the process crashed, hung or could not infer; it is ended.
        """
        if self._child is None:
            raise EngineLostError("it is not running")
        np.copyto(self._tensor, tensor, casting="no")
        self._child.send(RUN)
        try:
            reply, _ = self._child.receive(time.monotonic() + self._deadlines.inference_s)
        except EngineLostError:
            self.close()
            raise
        if isinstance(reply, Failed):
            self.close()
            raise EngineLostError(reply.text)
        return self._outputs

    def abort(self) -> None:
        """Kill the process from any thread; `start` or `run` fail at once."""
        child = self._child
        if child is not None:
            child.kill()

    def close(self) -> None:
        """End the process and release the shared memory; idempotent."""
        self._tensor, self._outputs = np.empty(0), ()
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def _is_ready(self, child: Child, deadline_s: float) -> bool:
        try:
            reply, descriptors = child.receive(deadline_s)
        except EngineLostError as error:
            raise self._start_error(error) from error
        if isinstance(reply, Failed):
            raise _error(reply)
        if isinstance(reply, Described | Ready):
            self.spec = reply.spec
        if not isinstance(reply, Ready):
            return False
        try:
            self._tensor, *outputs = map_memory(descriptors[0], (reply.input, *reply.outputs))
            self._outputs = tuple(outputs)
        finally:
            os.close(descriptors[0])
        return True

    def _start_error(self, error: EngineLostError) -> EdgeError:
        """Return the error for a process that ended during its start."""
        crashed = any(name in str(error) for name in NATIVE_CRASHES)
        if not crashed:
            return EngineLostError(f"the engine did not start: {error}")
        if self.spec is None:
            return ModelError(f"{self._job.path}: the TFLite runtime crashes over it ({error}): is the file damaged?")
        if self._job.library:
            return UnavailableError(
                f"{self._job.library} crashed as it started ({error}): unless the device was just unplugged, {ADVICE}"
            )
        return EngineLostError(f"the engine did not start: {error}")


def _error(reply: Failed) -> EdgeError:
    kind = getattr(errors, reply.error, EngineLostError)
    error: EdgeError = kind(reply.text)
    return error
