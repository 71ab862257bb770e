import threading

from brokers import eventually
from edge.mailbox import Mailbox


def test_the_newest_item_wins_and_drops_are_counted() -> None:
    box: Mailbox[int] = Mailbox()
    for item in (1, 2, 3):
        assert box.put(item)
    assert box.get() == 3
    assert box.dropped == 2


def test_a_waiting_mailbox_delivers_every_item_in_order() -> None:
    box: Mailbox[int] = Mailbox(waits=True)

    def write() -> None:
        for item in range(500):
            box.put(item)
        box.close()

    writer = threading.Thread(target=write)
    writer.start()
    assert list(box) == list(range(500))
    writer.join()
    assert box.dropped == 0


def test_what_lies_inside_can_still_be_taken_after_closing() -> None:
    box: Mailbox[str] = Mailbox()
    box.put("last")
    box.close()
    assert list(box) == ["last"]
    assert not box.put("late")
    assert box.get() is None


def test_closing_wakes_a_caller_blocked_in_put() -> None:
    box: Mailbox[int] = Mailbox(waits=True)
    box.put(1)
    refused = []
    writer = threading.Thread(target=lambda: refused.append(box.put(2)))
    writer.start()
    box.close()
    writer.join(2)
    assert refused == [False]


def test_closing_wakes_a_caller_blocked_in_get() -> None:
    box: Mailbox[int] = Mailbox()
    taken = []
    reader = threading.Thread(target=lambda: taken.append(box.get()))
    reader.start()
    box.close()
    reader.join(2)
    assert taken == [None]


def test_a_get_with_a_timeout_returns_without_an_item() -> None:
    box: Mailbox[int] = Mailbox()
    assert box.get(0.01) is None
    box.put(7)
    assert box.get(0.01) == 7


def test_an_item_is_awaited_while_a_thread_waits_for_one_and_always_if_none_may_be_dropped() -> None:
    box: Mailbox[int] = Mailbox()
    assert not box.is_awaited
    taker = threading.Thread(target=box.get)
    taker.start()
    eventually(lambda: box.is_awaited)
    box.put(1)
    assert not box.is_awaited
    taker.join(5)
    assert box.get(0.01) is None
    assert not box.is_awaited  # nobody waits any more
    assert Mailbox[int](waits=True).is_awaited
