"""A service on the starter, under a systemd of its own: it goes over to the default by itself."""

from collections.abc import Iterator

import pytest

from brokers import eventually
from data import needs_models
from device import INSTALL_ENV, Device, device
from model_server import model_server

pytestmark = needs_models

INSTALL = "/srv/edge-pose/systemd/install.sh"
STAND_IN = "degraded: model: starter in place of the default, which could not be had"
WAIT_S = 200.0
"""20 s of tries before the start, a minute to the first one after it, two to the second."""


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    with device(tmp_path_factory.mktemp("device")) as machine:
        machine.run(f"{INSTALL_ENV} {INSTALL}")
        machine.clear()
        yield machine


def test_a_service_that_began_without_a_network_goes_over_to_the_default_by_itself(service: Device) -> None:
    with model_server() as mirror:
        service.use_mirror(mirror)
        service.unplug()
        service.run("systemctl start edge-pose")
        service.wait_for(StatusText=STAND_IN)
        assert service.show("NRestarts") == "0"
        service.plug()
        eventually(lambda: service.state() == "online", WAIT_S)
    assert service.show("NRestarts") == "1"
    assert service.log().count("restarts: the default model is here") == 1
    assert "status=75/TEMPFAIL" in service.log()
    service.unplug()
    service.run("systemctl restart edge-pose")
    service.wait_for(StatusText="online")
