import pytest

from builders import ORIGIN
from edge.output.window.keys import HELP, action_of
from edge.output.window.panel import Panel, PanelText
from windows import seen, status


def panel(*, private: bool = False) -> Panel:
    made = Panel(ORIGIN, private=private)
    made.status(status("online"))
    return made


def watching(frames: int, *, interval_s: float = 0.04, start_s: float = 50.0) -> Panel:
    """A panel that has shown some frames, the last one at `start_s`."""
    made = panel()
    for index in range(frames):
        made.result(seen(index), start_s + (index - frames + 1) * interval_s)
        made.shown(0.041)
    return made


def banner_after(seconds: float, made: Panel) -> tuple[str, ...]:
    return made.text(50.0 + seconds).banner


def test_before_the_first_picture_the_window_says_that_it_waits() -> None:
    text = panel().text(1.0)
    assert text.banner == ("waiting for the first picture",)
    assert not text.is_ok


def test_device_camera_state_rate_latency_and_people_are_shown() -> None:
    text = watching(30).text(50.0)
    assert text.place == "hall / front"
    assert (text.state, text.is_ok) == ("online", True)
    assert text.metrics == "25.0 fps   41 ms   1 person"
    assert text.banner == ()


def test_metrics_rest_for_half_a_second_so_that_they_can_be_read() -> None:
    made = watching(30)
    first = made.text(50.0).metrics
    made.shown(0.9)
    made.result(seen(31), 50.2)
    assert made.text(50.2).metrics == first
    assert made.text(50.6).metrics != first


def test_a_camera_that_is_away_is_shown_at_once_with_the_age_of_the_picture() -> None:
    made = watching(30)
    made.status(status("degraded", "camera: no frame for 5.0 s"))
    text = made.text(50.1)
    assert text.banner == ("camera: no frame for 5.0 s", "last picture 0 s ago")
    assert text.metrics == ""
    assert not text.is_ok
    assert made.text(57.2).banner[1] == "last picture 7 s ago"


def test_the_age_of_the_picture_goes_on_for_hours() -> None:
    made = watching(30)
    assert banner_after(119, made)[1] == "last picture 119 s ago"
    assert banner_after(600, made)[1] == "last picture 10 min ago"
    assert banner_after(4 * 3600, made)[1] == "last picture 4 h ago"


def test_a_picture_that_stays_is_called_old_even_while_the_state_is_online() -> None:
    made = watching(30)
    assert banner_after(1.9, made) == ()
    assert banner_after(2.1, made)[0] == "no new picture"


def test_a_slow_camera_has_three_times_its_own_interval() -> None:
    made = watching(3, interval_s=4.0)
    assert banner_after(11.9, made) == ()
    assert banner_after(12.1, made) != ()


def test_the_time_without_pictures_is_no_rate() -> None:
    made = watching(30)
    for index in range(30, 40):
        made.result(seen(index), 60.0 + index * 0.04)
    assert made.text(61.6).metrics.startswith("25.0 fps")


def test_a_state_with_pictures_leaves_them_visible() -> None:
    made = watching(30)
    made.status(status("degraded", "engine: on the CPU, the Edge TPU has failed"))
    text = made.text(50.1)
    assert text.banner == ()
    assert text.state == "degraded: engine: on the CPU, the Edge TPU has failed"
    assert not text.is_ok


def test_an_answer_to_a_key_goes_after_some_seconds() -> None:
    made = watching(30)
    made.set_note("saved", 50.0)
    assert made.text(53.9).note == "saved"
    assert made.text(54.1).note == ""


def test_private_is_switched_by_its_key() -> None:
    made = watching(30)
    made.toggle_private(50.0)
    assert (made.text(50.1).private, made.text(50.1).note) == (True, "private on")
    made.toggle_private(51.0)
    assert (made.text(51.1).private, made.text(51.1).note) == (False, "private off")


def test_private_by_the_config_cannot_be_switched_off_by_who_passes_by() -> None:
    made = panel(private=True)
    made.toggle_private(1.0)
    assert made.text(1.1).private
    assert made.text(1.1).note == "private by the config: it stays on"


def test_help_opens_and_closes() -> None:
    made = panel()
    shown: list[PanelText] = [made.text(1.0)]
    for _ in range(2):
        made.toggle_help()
        shown.append(made.text(1.0))
    assert [text.has_help for text in shown] == [False, True, False]


@pytest.mark.parametrize(
    ("key", "action"),
    [("q", "quit"), ("escape", "quit"), ("s", "snapshot"), ("p", "private"), ("f", "full screen"), ("h", "help"),
     ("x", None)],
)  # fmt: skip
def test_each_key_asks_for_its_action(key: str, action: str | None) -> None:
    assert action_of(key) == action


def test_the_help_names_every_key() -> None:
    listed = [key.strip() for keys, _ in HELP for key in keys.split(",")]
    names = ["escape" if key == "Esc" else key for key in listed]
    assert {action_of(name) for name in names} == {"quit", "snapshot", "private", "full screen", "help"}
