"""The config: layers, every mistake at once, secrets kept out of sight, and the text that explains it."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import Config, load
from edge.config.credentials import read_password
from edge.config.input_size import parse_fixed_size, parse_size
from edge.config.text import default_text, dump
from edge.errors import ConfigError, InputError
from edge.masking import mask_url


def written(folder: Path, text: str) -> Path:
    path = folder / "edge-pose.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(
    path: Path | None = None, overrides: Mapping[str, Any] | None = None, sets: Sequence[str] = ()
) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides, sets)
    assert all("\n" not in line for line in caught.value.problems)
    # Where a key stands is tested once, below.
    return tuple(re.sub(rf"^{re.escape(str(path))}:\d+: ", "", line) for line in caught.value.problems)


# --- values and layers -------------------------------------------------------------------------------------


def test_without_any_file_the_defaults_hold() -> None:
    config = load()
    assert config.camera.source == "scene"
    assert config.model.size == "auto"
    assert config.poses.min_score == 0.2
    assert (config.track.enabled, config.track.metric, config.track.max_age_s) == (True, "oks", 2.0)
    assert (config.mqtt.url, config.mqtt.version, config.mqtt.base_topic) == ("", "auto", "edge-pose")
    assert config.health.interval_s == 10


def test_the_threads_default_to_the_cores_but_at_most_four() -> None:
    assert load().model.threads == min(len(os.sched_getaffinity(0)), 4)


def test_the_device_is_named_after_the_host() -> None:
    name = load().device.name
    assert load(None, {"device.name": name}).device.name == name  # it passes its own check


def test_flags_lie_over_the_file_and_set_over_flags(tmp_path: Path) -> None:
    path = written(tmp_path, '[camera]\nsource = "a.mp4"\nfps = 7\n[poses]\nmin_score = 0.3\n')
    config = load(
        path,
        {"camera.source": "b.mp4", "poses.min_score": 0.4, "output.jsonl": None},
        ["poses.min_score=0.5"],
    )
    assert (config.camera.source, config.camera.fps, config.poses.min_score) == ("b.mp4", 7.0, 0.5)


def test_the_last_set_of_a_key_wins() -> None:
    assert load(sets=["camera.rotate=90", "camera.rotate=270"]).camera.rotate == 270


@pytest.mark.parametrize(
    ("item", "table", "key", "value"),
    [
        ("camera.fps=12.5", "camera", "fps", 12.5),
        ("camera.fps = 12", "camera", "fps", 12.0),
        ("track.enabled=false", "track", "enabled", False),
        ("mqtt.url=mqtt://hall:1884", "mqtt", "url", "mqtt://hall:1884"),
        ("mqtt.version=5", "mqtt", "version", "5"),
        ("mqtt.version=3.1.1", "mqtt", "version", "3.1.1"),
        ("device.name=007", "device", "name", "007"),
        ("device.name=true", "device", "name", "true"),
        ('device.name="hall"', "device", "name", "hall"),
        ("output.jsonl=a=b", "output", "jsonl", "a=b"),
        ("output.jsonl=", "output", "jsonl", ""),
    ],
)
def test_set_takes_a_toml_value_and_text_needs_no_quotes(item: str, table: str, key: str, value: object) -> None:
    assert getattr(getattr(load(sets=[item]), table), key) == value


@pytest.mark.parametrize("sets", [["model.name=other"], ["model.file="]])
def test_a_model_named_later_replaces_a_model_file_named_earlier(tmp_path: Path, sets: list[str]) -> None:
    path = written(tmp_path, '[model]\nfile = "own.tflite"\n')
    config = load(path, {"model.name": "other"}, sets)
    assert (config.model.name, config.model.file) == ("other", "")
    assert load(path).model.file == "own.tflite"


def test_a_model_file_given_later_replaces_a_model_named_earlier(tmp_path: Path) -> None:
    path = written(tmp_path, '[model]\nname = "other"\nthreads = 3\n')
    model = load(path, {"model.file": "own.tflite"}).model
    assert (model.name, model.file, model.threads) == ("", "own.tflite", 3)


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf[camera]\r\nrotate = 90\r\n")
    assert load(path).camera.rotate == 90


# --- mistakes ----------------------------------------------------------------------------------------------


def test_every_mistake_is_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        fps = 3
        [camra]
        source = "scene"
        [camera]
        fpss = 3
        rotate = 45
        width = true
        min_score = 3
        [model]
        size = "250x250"
        threads = 0
        [poses]
        min_score = "high"
        [mqtt]
        version = 5
        [[output]]
        """,
    )
    assert problems(path) == (
        "fps: must be inside a table (did you mean 'camera.fps'?)",
        "[camra]: unknown table (did you mean 'camera'?)",
        "camera.fpss: unknown key (did you mean 'fps'?)",
        "camera.rotate: expected 0, 90, 180 or 270, got 45",
        "camera.width: expected a whole number from 16 to 8192, got true",
        "camera.min_score: unknown key (did you mean 'poses.min_score'?)",
        "model.size: '250x250' is not a multiple of 32 (nearest: 256x256)",
        "model.threads: expected a whole number from 1 to 64, got 0",
        'poses.min_score: expected a number from 0 to 1, got "high"',
        'mqtt.version: expected "3.1.1", "5" or "auto", got 5',
        "output: expected a table ([output]), got a list",
    )


@pytest.mark.parametrize(
    ("line", "got"),
    [
        ("fps = nan", "nan"),
        ("fps = inf", "inf"),
        ("fps = -inf", "-inf"),
        ("fps = 0", "0"),
        ("fps = true", "true"),
        (f"fps = 0x{'f' * 5000}", "a huge number"),
        ("fps = [1]", "a list"),
        ("fps.x = 1", "a table"),
        ("fps = 2026-01-31", "2026-01-31"),
        (f'fps = "{"x" * 500}"', '"' + "x" * 59 + "…"),
        ('fps = "rtsp://bob:geheim@cam"', '"rtsp://***@cam"'),
    ],
)
def test_what_is_no_number_in_range_is_refused_and_shown_short(tmp_path: Path, line: str, got: str) -> None:
    path = written(tmp_path, f"[camera]\n{line}\n")
    assert problems(path) == (f"camera.fps: expected a number from 0.1 to 1000, got {got}",)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("camera.source", "3", "text in quotes, got 3"),
        ("track.enabled", "1", "true or false, got 1"),
        ("track.enabled", '"yes"', 'true or false, got "yes"'),
        ("track.metric", '"giou"', '"iou" or "oks", got "giou"'),
        ("camera.rotate", "90.0", "0, 90, 180 or 270, got 90.0"),
        ("camera.rotate", "false", "0, 90, 180 or 270, got false"),
        ("model.threads", "true", "a whole number from 1 to 64, got true"),
        ("model.threads", "2.0", "a whole number from 1 to 64, got 2.0"),
    ],
)
def test_a_value_of_another_type_is_refused(tmp_path: Path, key: str, value: str, expected: str) -> None:
    table, name = key.split(".")
    assert problems(written(tmp_path, f"[{table}]\n{name} = {value}\n")) == (f"{key}: expected {expected}",)


@pytest.mark.parametrize("text", ["a\x7f.mp4", "a\nb.mp4", "caf\udce9.mp4", "a\x00"])
def test_text_that_no_file_name_or_message_could_hold_is_refused(text: str) -> None:
    assert problems(None, {"camera.source": text}) == (
        "camera.source (--camera): holds control characters, or bytes that are not UTF-8",
    )


def test_keys_with_line_ends_are_still_reported_on_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, '["a\\nb"]\n[camera]\n"c\\nd" = 1\n"" = 2\n')
    assert problems(path) == (
        r"['a\nb']: unknown table",
        r"camera.'c\nd': unknown key",
        "camera.'': unknown key",
    )


def test_a_flag_and_a_set_are_named_as_the_origin_of_a_mistake() -> None:
    found = problems(
        None,
        {"mqtt.url": "hall:1883", "poses.min_score": 2.0},
        ["camera.fps=abc", "fps=3", "nonsense", "mqtt.pasword=geheim"],
    )
    assert found == (
        "--set fps: expected table.key=value (did you mean 'camera.fps'?)",
        "--set nonsense: expected table.key=value",
        (
            "mqtt.url (--mqtt): expected mqtt://host[:port] or mqtts://host[:port], got 'hall:1883' "
            "(did you mean mqtt://hall:1883?)"
        ),
        "poses.min_score (flag): expected a number from 0 to 1, got 2.0",
        'camera.fps (--set): expected a number from 0.1 to 1000, got "abc"',
        "mqtt.pasword (--set): unknown key (did you mean 'password_file'?)",
    )


def test_a_set_cannot_smuggle_in_more_than_its_own_value() -> None:
    (line,) = problems(sets=["camera.fps=1\nother = 2"])
    assert line.startswith("camera.fps (--set): expected a number")


@pytest.mark.parametrize(
    "name", ["a/b", "a+b", "#", "", " hall", "ha\u200bll", "x" * 65, "caf\udce9", "hall\n", "hall\x7f"]
)
def test_a_device_name_that_cannot_be_part_of_a_topic_is_refused(name: str) -> None:
    (line,) = problems(None, {"device.name": name})
    assert line.startswith("device.name (--device): ")
    line.encode()


@pytest.mark.parametrize("topic", ["", "/edge", "edge/", "a//b", "a/+/b", "$SYS", "a/#"])
def test_a_base_topic_that_is_no_topic_is_refused(topic: str) -> None:
    (line,) = problems(None, {"mqtt.base_topic": topic})
    assert line.startswith("mqtt.base_topic (--base-topic): ")


def test_a_base_topic_may_have_levels_and_a_name_any_letters() -> None:
    config = load(None, {"mqtt.base_topic": "haus/Küche", "device.name": "Küche 2"})
    assert (config.mqtt.base_topic, config.device.name) == ("haus/Küche", "Küche 2")


@pytest.mark.parametrize(
    ("sets", "complaint"),
    [
        (["camera.width=640"], "camera.width: needs camera.height, and the other way round"),
        (["camera.source="], 'camera.source (--set): must not be empty; "scene" needs no hardware'),
        (["mqtt.password_file=p"], "mqtt.password_file: needs mqtt.username"),
        (["mqtt.key_file=k"], "mqtt.key_file: needs mqtt.cert_file"),
        (
            ["mqtt.url=mqtt://h", "mqtt.ca_file=c"],
            "mqtt.ca_file: is for TLS only: write mqtts:// in mqtt.url",
        ),
        (
            ["mqtt.url=mqtt://bob@h", "mqtt.username=eve"],
            "mqtt.username: 'eve', but mqtt.url names 'bob'",
        ),
    ],
)
def test_keys_that_do_not_go_together_are_named(sets: list[str], complaint: str) -> None:
    assert problems(sets=sets) == (complaint,)


def test_certificates_go_with_a_broker_that_speaks_tls() -> None:
    mqtt = load(sets=["mqtt.url=mqtts://h", "mqtt.ca_file=a", "mqtt.cert_file=c", "mqtt.key_file=k"]).mqtt
    assert (mqtt.ca_file, mqtt.cert_file, mqtt.key_file) == ("a", "c", "k")


def test_a_model_name_and_a_model_file_in_one_place_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, '[model]\nname = "a"\nfile = "b.tflite"\n')
    assert problems(path) == ("model.file: 'b.tflite' and model.name 'a': give one of them",)


def test_a_wrong_value_causes_no_complaint_about_its_partner(tmp_path: Path) -> None:
    path = written(tmp_path, "[camera]\nwidth = 640\nheight = -1\n")
    assert len(problems(path)) == 1


@pytest.mark.parametrize("sets", [["mqtt.username=bob"], ["mqtt.url=mqtts://bob@hall"]])
def test_a_user_named_by_key_or_url_goes_with_a_password_file(sets: list[str]) -> None:
    assert load(sets=[*sets, "mqtt.password_file=/etc/secret"]).mqtt.password_file == "/etc/secret"  # noqa: S105 # a path


# --- the file itself ---------------------------------------------------------------------------------------


def test_a_config_that_is_not_there_is_missing_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.toml: no such config file") as caught:
        load(tmp_path / "gone.toml")
    assert caught.value.exit_code == 66


def test_a_config_that_cannot_be_read_is_missing_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the config file: Is a directory"):
        load(tmp_path)


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    path = written(tmp_path, "[camera]\nfps = \n")
    (line,) = problems(path)
    assert line.startswith(f"{path}: not valid TOML: ")
    assert "line 2" in line


def test_a_file_in_another_encoding_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin1.toml"
    path.write_bytes('[device]\nname = "Küche"\n'.encode("latin-1"))
    assert problems(path) == (f"{path}: not UTF-8 text (at line 2)",)


def test_a_file_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a = " + "[" * 100_000)
    assert problems(path) == (f"{path}: not valid TOML: nested too deeply",)


# --- sizes -------------------------------------------------------------------------------------------------


def test_a_size_is_written_height_first_and_read_width_first() -> None:
    assert parse_size("160x256") == (256, 160)
    assert parse_size("auto") is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("250x250", "'250x250' is not a multiple of 32 (nearest: 256x256)"),
        ("1x5000", "'1x5000' is not a multiple of 32 (nearest: 32x2048)"),
        ("0x256", "'0x256' is out of range: both sides must be from 32 to 2048"),
        ("4096x256", "'4096x256' is out of range"),
        ("256", 'expected "auto" or "HxW"'),
        ("-256x256", 'expected "auto" or "HxW"'),
        ("\u0662\u0665\u0666x256", 'expected "auto" or "HxW"'),
        ("", 'expected "auto" or "HxW"'),
    ],
)
def test_a_bad_size_is_refused_with_its_reason(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        parse_size(text)


def test_who_takes_no_auto_does_not_offer_it() -> None:
    assert parse_fixed_size("160x256") == (256, 160)
    for text in ("auto", "256"):
        with pytest.raises(ValueError, match=f'expected "HxW" such as "256x448", height first, got \'{text}\''):
            parse_fixed_size(text)


# --- secrets -----------------------------------------------------------------------------------------------


def test_a_password_in_the_brokers_url_is_refused_and_not_repeated() -> None:
    (line,) = problems(None, {"mqtt.url": "mqtt://bob:geheim@hall"})
    assert line.startswith("mqtt.url (--mqtt): a password in a URL")
    assert "mqtt.password_file" in line
    assert "geheim" not in line


@pytest.mark.parametrize(
    "item",
    [
        "mqtt.url=bob:geheim@hall",
        "mqtt.password=geheim",
        "rtsp://bob:geheim@cam",
        "camera.fps=rtsp://bob:geheim@cam",
        "mqtt.version=mqtt://bob:geheim@hall",
    ],
)
def test_no_complaint_about_a_set_repeats_a_password(item: str) -> None:
    assert "geheim" not in " ".join(problems(sets=[item]))


def test_a_password_is_the_only_line_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes("ge heim#ü\r\n".encode())
    assert read_password(path) == "ge heim#ü"


@pytest.mark.parametrize("content", [b"", b"\n", b"geheim\nzweite\n", b"geheim\xff\n"])
def test_a_password_file_with_anything_else_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"mqtt\.password_file: ") as caught:
        read_password(path)
    assert "geheim" not in str(caught.value)


def test_a_password_file_that_is_not_there_is_a_wrong_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*gone: No such file"):
        read_password(tmp_path / "gone")


# --- text --------------------------------------------------------------------------------------------------


def test_a_dump_reads_back_as_the_same_config(tmp_path: Path) -> None:
    sets = ["camera.width=640", "camera.height=360", "device.name=Küche", "poses.max_people=3"]
    config = load(sets=[*sets, "camera.controls={ ColourGains = [1.5, 2.0] }"])
    assert load(written(tmp_path, dump(config))) == config


def test_a_dump_masks_the_credentials_of_a_camera() -> None:
    text = dump(load(sets=["camera.source=rtsp://admin:geheim@cam:554/h264"]))
    assert 'source = "rtsp://***@cam:554/h264"' in text
    assert "geheim" not in text


@given(st.text().filter(lambda text: text.isprintable() and mask_url(text) == text))
def test_any_text_survives_the_dump(text: str) -> None:
    assert tomllib.loads(dump(load(None, {"mqtt.username": text})))["mqtt"]["username"] == text


def uncommented(text: str) -> str:
    return re.sub(r"^#(\w+ = )", r"\1", text, flags=re.MULTILINE)


def test_the_default_file_changes_nothing(tmp_path: Path) -> None:
    assert load(written(tmp_path, default_text())) == load()


def test_the_default_file_has_every_key_with_a_comment_and_a_value_that_is_valid(tmp_path: Path) -> None:
    tables = tomllib.loads(uncommented(default_text()))
    assert {name: list(table) for name, table in tables.items()} == {
        name: list(table) for name, table in msgspec.to_builtins(Config()).items()
    }
    load(written(tmp_path, uncommented(default_text())))
    lines = default_text().splitlines()
    keys = [at for at, line in enumerate(lines) if re.match(r"#\w+ = ", line)]
    assert all(lines[at - 1].startswith("# ") for at in keys)


def test_the_values_in_the_default_file_are_the_defaults() -> None:
    shown = tomllib.loads(uncommented(default_text()))
    defaults = msgspec.to_builtins(Config())
    examples = {
        "device.name",
        "camera.width",
        "camera.height",
        "camera.fps",
        "camera.controls",
        "model.threads",
        "poses.max_people",
        "output.record_max_bytes",
    }
    for name, table in defaults.items():
        for key, value in table.items():
            assert f"{name}.{key}" in examples or shown[name][key] == value


# --- what somebody meant -----------------------------------------------------------------------------------


def test_a_mistake_in_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '# fpss = 3\n\n[camra]\nsource = 1\n[ camera ]\n  fpss=3\nrotate = 45\n[mqtt] # broker\nurl = "hall"\n',
    )
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert [line.partition(": ")[::2] for line in caught.value.problems] == [
        (f"{path}:3", "[camra]: unknown table (did you mean 'camera'?)"),
        (f"{path}:6", "camera.fpss: unknown key (did you mean 'fps'?)"),
        (f"{path}:7", "camera.rotate: expected 0, 90, 180 or 270, got 45"),
        (
            f"{path}:9",
            "mqtt.url: expected mqtt://host[:port] or mqtts://host[:port], got 'hall' (did you mean mqtt://hall?)",
        ),
    ]


def test_a_key_above_all_tables_is_found_too(tmp_path: Path) -> None:
    path = written(tmp_path, "# fps = 3\ncamera.fps = 0\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.problems == (f"{path}:2: camera.fps: expected a number from 0.1 to 1000, got 0",)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[camera]\nsource = scene", 'line 2, column 10): text needs quotes: source = "scene"'),
        ("[camera]\nsource = street.mp4  # ours", ': text needs quotes: source = "street.mp4"'),
        ("[camera]\nsource = rtsp://cam/1", ': text needs quotes: source = "rtsp://cam/1"'),
        ("[track]\nenabled = True", ": enabled = true"),
        ("[camera]\nsource: scene", ': this is TOML: source = "scene"'),
        ("[camera]\nrotate: 90", ": this is TOML: rotate = 90"),
        ("[camera]\nsource: 'scene'", ": this is TOML: source = 'scene'"),
        ("[camera]\n= 3", "at line 2, column 1)"),
        ("[camera\n", "(at line 1, column 8)"),
        ("[camera]\nsource: " + "x" * 80, "(at line 2, column 7)"),
    ],
)
def test_a_line_of_another_format_gets_the_line_that_was_meant(tmp_path: Path, text: str, hint: str) -> None:
    (line,) = problems(written(tmp_path, text))
    assert line.endswith(hint)
    assert "not valid TOML" in line


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("mqtt.host", 'url = "mqtt://localhost:1883"'),
        ("mqtt.port", 'url = "mqtt://localhost:1883"'),
        ("mqtt.password", "put it into a file"),
        ("mqtt.tls", "write mqtts:// in url"),
        ("camera.resolution", "give width and height"),
        ("camera.url", "the URL goes into source"),
        ("model.path", "the path goes into file"),
    ],
)
def test_a_key_of_other_programs_is_answered_by_what_to_do_here(tmp_path: Path, key: str, words: str) -> None:
    table, name = key.split(".")
    (line,) = problems(written(tmp_path, f'[{table}]\n{name} = "geheim"\n'))
    assert words in line
    assert "geheim" not in line


@pytest.mark.parametrize("text", ["True", "YES", "on", "true"])
def test_a_flag_is_set_by_any_word_for_yes(text: str) -> None:
    assert load(None, None, [f"output.private={text}"]).output.private is True


@pytest.mark.parametrize("text", ["False", "no", "Off", "false"])
def test_a_flag_is_unset_by_any_word_for_no(text: str) -> None:
    assert load(None, None, [f"smooth.enabled={text}"]).smooth.enabled is False


@pytest.mark.parametrize("text", ["1", "maybe", '"yes"', ""])
def test_a_flag_takes_nothing_else(text: str) -> None:
    (line,) = problems(None, None, [f"smooth.enabled={text}"])
    assert line.startswith("smooth.enabled (--set): expected true or false, got ")


@pytest.mark.parametrize("key", ["output.jsonl", "output.record", "model.file", "mqtt.ca_file", "mqtt.password_file"])
def test_a_path_may_begin_with_a_home_folder(key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    table, name = key.split(".")
    config = load(None, {"mqtt.url": "mqtts://me@hall"}, [f"{key}=~/x.mp4"])
    assert getattr(getattr(config, table), name) == str(tmp_path / "x.mp4")


@pytest.mark.parametrize("key", ["output.jsonl", "output.record", "model.file", "mqtt.ca_file", "mqtt.password_file"])
def test_a_home_folder_of_nobody_is_one_line(key: str) -> None:
    found = problems(None, {"mqtt.url": "mqtts://me@hall"}, [f"{key}=~nobodyatall/x"])
    assert found == (f'{key}: "~nobodyatall/x": no such home folder: give the whole path',)
