"""What all tests share: `--no-skips`, for machines that must have everything; steady examples; default signals."""

import pytest
from hypothesis import settings

from command import restore_child_signals

# The same examples every time, and no limit on the time of one: a busy machine is no mistake.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

restore_child_signals()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test is a failure")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):  # type: ignore[no-untyped-def]
    report = yield
    if report.skipped and item.config.getoption("--no-skips") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, which --no-skips forbids: {report.longrepr}"
    return report
