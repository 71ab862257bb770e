import select
import threading

from edge.mqtt.waker import Waker


def is_awake(waker: Waker) -> bool:
    return waker in select.select([waker], [], [], 0)[0]


def test_a_wake_up_ends_a_wait_and_is_forgotten_after_it() -> None:
    with Waker() as waker:
        assert not is_awake(waker)
        threading.Thread(target=waker.wake).start()
        assert select.select([waker], [], [], 10)[0] == [waker]
        waker.clear()
        assert not is_awake(waker)


def test_any_number_of_wake_ups_does_not_block_and_is_one() -> None:
    with Waker() as waker:
        for _ in range(4000):
            waker.wake()
        waker.clear()
        while is_awake(waker):
            waker.clear()


def test_a_wake_up_after_the_end_is_harmless() -> None:
    waker = Waker()
    waker.close()
    waker.wake()
    waker.close()
