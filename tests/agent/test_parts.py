import pytest

from edge.agent.parts import make_camera
from edge.config import Config
from edge.config.source import Source


def test_a_kind_of_source_without_a_driver_is_named() -> None:
    source = Source("lidar", "lidar", "lidar")  # type: ignore[arg-type] # a kind that make_camera does not know
    with pytest.raises(AssertionError, match="lidar"):
        make_camera(source, Config(), paced=True, loop=False)
