"""What the tests' own way to start commands promises."""

import signal
import subprocess
import sys

import pytest

IGNORING = """
import signal, subprocess, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
if sys.argv[2] == "restored":
    sys.path.insert(0, sys.argv[3])
    from command import restore_child_signals
    restore_child_signals()
code = "import signal, sys; print(signal.getsignal(int(sys.argv[1])))"
sys.exit(subprocess.call([sys.executable, "-c", code, sys.argv[1]]))
"""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_child_of_tests_under_nohup_starts_with_default_signals(
    number: signal.Signals, request: pytest.FixtureRequest
) -> None:
    def handling(how: str) -> str:
        words = [sys.executable, "-c", IGNORING, str(number.value), how, str(request.config.rootpath / "tests")]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    assert handling("inherited") == "1"  # SIG_IGN
    assert handling("restored") != "1"
