import numpy as np

from builders import frame
from edge.frame import BufferPool


def test_a_buffer_comes_back_when_the_last_reference_is_gone() -> None:
    pool = BufferPool()
    first = pool.take((4, 6, 3))
    second = pool.take((4, 6, 3))
    assert first is not second
    del first
    pool.take((4, 6, 3))
    assert len(pool._arrays) == 2


def test_a_view_keeps_its_buffer_from_being_used_again() -> None:
    pool = BufferPool()
    view = pool.take((4, 6, 3))[1:2, ::2]
    assert not np.shares_memory(pool.take((4, 6, 3)), view)


def test_a_new_shape_drops_the_old_buffers() -> None:
    pool = BufferPool("float32")
    held = pool.take((4, 6, 3))
    other = pool.take((6, 4, 3))
    assert len(pool._arrays) == 1
    assert other.shape == (6, 4, 3)
    assert other.dtype == held.dtype == "float32"


def test_a_frame_whose_image_was_released_still_knows_its_size() -> None:
    assert frame(width=640, height=360).without_image().size == (640, 360)
