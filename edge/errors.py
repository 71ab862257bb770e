"""One tree of expected errors; each knows the exit code it ends a run with (sysexits.h).

Every message is one line that says what failed, where, and what to do. Each error is also the builtin that a
Python user would expect, so `except ValueError` around a config works.
"""

__all__ = [
    "CameraLostError",
    "ConfigError",
    "EdgeError",
    "EngineLostError",
    "InputError",
    "ModelError",
    "RestartError",
    "StuckError",
    "UnavailableError",
    "UsageError",
    "one_line",
]

MAX_REASON_CHARACTERS = 200


class EdgeError(Exception):
    """An expected failure; `exit_code` is what a command that cannot go on ends with."""

    exit_code = 70


class UsageError(EdgeError, ValueError):
    """An unknown flag, or a SRC that cannot be parsed."""

    exit_code = 64


class InputError(EdgeError, OSError):
    """No such file, or a file that cannot be read as image, video or model."""

    exit_code = 66


class UnavailableError(EdgeError, RuntimeError):
    """A needed part is missing: a model by name, a runtime, a package, an output, a delegate."""

    exit_code = 69


class StuckError(EdgeError, TimeoutError):
    """A thread hangs in a driver and cannot be replaced; the service manager has to restart the process."""

    exit_code = 75


class RestartError(EdgeError, RuntimeError):
    """Nothing failed: a new process can do better, and the service manager starts one."""

    exit_code = 75


class ConfigError(EdgeError, ValueError):
    """Bad config: `problems` holds one line for every bad key, all of them at once."""

    exit_code = 78

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ModelError(EdgeError, ValueError):
    """A model file that is corrupt or of another kind than this program can run."""

    exit_code = 78


class CameraLostError(EdgeError, OSError):
    """A live camera cannot be opened or stopped delivering; it is reopened, the run goes on."""

    exit_code = 75


class EngineLostError(EdgeError, RuntimeError):
    """The model's process crashed, hangs or has no device; it is started again, the run goes on."""

    exit_code = 75


def one_line(error: Exception) -> str:
    """Return the text of another library's error as one line, cut off at 200 characters."""
    return " ".join(str(error).split())[:MAX_REASON_CHARACTERS]
