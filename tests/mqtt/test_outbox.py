"""What waits to be published."""

from builders import result
from edge.mqtt.outbox import Outbox


def test_a_newer_result_takes_the_place_of_the_one_that_waits() -> None:
    outbox = Outbox()
    outbox.open()
    assert outbox.offer(result(index=1))
    assert outbox.offer(result(index=2))
    waiting = outbox.take_result()
    assert waiting is not None
    assert waiting.frame.index == 2
    assert outbox.dropped == 1
    assert outbox.take_result() is None


def test_a_closed_outbox_drops_and_counts_every_result() -> None:
    outbox = Outbox()
    outbox.open()
    outbox.offer(result(index=1))
    outbox.close()
    assert not outbox.offer(result(index=2))
    assert not outbox.has_result()
    assert outbox.dropped == 2


def test_of_a_state_only_the_latest_is_kept() -> None:
    outbox = Outbox()
    outbox.set_state("status", b"old")
    outbox.set_state("people", b"one")
    outbox.set_state("status", b"new")
    assert outbox.unsent() == ["status", "people"]
    assert outbox.take_state("status") == (b"new", None)
    assert outbox.unsent() == ["people"]


def test_every_state_is_unsent_again_after_a_new_start() -> None:
    outbox = Outbox()
    outbox.set_state("status", b"online")
    outbox.take_state("status")
    assert outbox.unsent() == []
    outbox.close()
    outbox.open()
    assert outbox.unsent() == ["status"]


def test_a_state_is_sent_again_on_request_with_its_expiry() -> None:
    outbox = Outbox()
    outbox.send_again("status")
    assert outbox.unsent() == []
    outbox.set_state("status", b"online", 45)
    assert outbox.take_state("status") == (b"online", 45)
    outbox.send_again("status")
    assert outbox.unsent() == ["status"]


def test_a_result_that_could_not_be_sent_counts_as_dropped() -> None:
    outbox = Outbox()
    outbox.open()
    outbox.offer(result())
    outbox.take_result()
    outbox.count_dropped()
    assert outbox.dropped == 1
