"""The tree of expected errors, with their exit codes (sysexits.h).

Every message is one line that says what failed, where, and what to do. Each error is also the builtin that a Python
user expects, so `except ValueError` around a config works.
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
    """An expected failure, with the exit code of a command that it ends."""

    exit_code = 70


class UsageError(EdgeError, ValueError):
    """Unknown flag, or a SRC that cannot be parsed."""

    exit_code = 64


class InputError(EdgeError, OSError):
    """Missing file, or one that cannot be read as image, video or model."""

    exit_code = 66


class UnavailableError(EdgeError, RuntimeError):
    """Missing model, runtime, package, output or delegate."""

    exit_code = 69


class StuckError(EdgeError, TimeoutError):
    """A thread hangs in a driver; the process must be restarted."""

    exit_code = 75


class RestartError(EdgeError, RuntimeError):
    """Requests a restart by the service manager without a failure."""

    exit_code = 75


class ConfigError(EdgeError, ValueError):
    """Bad config; `problems` has one line for every bad key."""

    exit_code = 78

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ModelError(EdgeError, ValueError):
    """Corrupt model file, or one of a kind that cannot be run."""

    exit_code = 78


class CameraLostError(EdgeError, OSError):
    """A live camera failed; it is reopened while the run continues."""

    exit_code = 75


class EngineLostError(EdgeError, RuntimeError):
    """The model's process failed; it is restarted while the run continues."""

    exit_code = 75


def one_line(error: Exception) -> str:
    """Return an error's text as one line of at most 200 characters."""
    return " ".join(str(error).split())[:MAX_REASON_CHARACTERS]
