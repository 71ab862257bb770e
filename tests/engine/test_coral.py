from pathlib import Path

from data import model, needs_models
from edge.engine.coral import Tpu, is_compiled, list_tpus
from edgetpu_double import compiled_model
from tiny_models import echo_model


def usb_device(root: Path, name: str, vendor: str, product: str, speed: str = "") -> Path:
    folder = root / "sys/bus/usb/devices" / name
    folder.mkdir(parents=True)
    for file, text in (("idVendor", vendor), ("idProduct", product), ("speed", speed)):
        if text:
            (folder / file).write_text(f"{text}\n")
    return folder


def test_sticks_on_usb_are_found_before_and_after_their_first_use(tmp_path: Path) -> None:
    new = usb_device(tmp_path, "1-1.2", "1a6e", "089a", "480")
    used = usb_device(tmp_path, "2-1", "18d1", "9302", "5000")
    usb_device(tmp_path, "2-3", "18d1", "4ee7", "5000")  # a telephone
    (tmp_path / "sys/bus/usb/devices/1-0:1.0").mkdir()  # an interface has no ids
    assert list_tpus(tmp_path, []) == [
        Tpu("usb", str(new), is_awake=False, speed_mbit_s=480),
        Tpu("usb", str(used), is_awake=True, speed_mbit_s=5000),
    ]


def test_a_stick_whose_speed_is_not_told_is_a_stick(tmp_path: Path) -> None:
    usb_device(tmp_path, "2-1", "18d1", "9302")
    assert [tpu.speed_mbit_s for tpu in list_tpus(tmp_path, [])] == [None]


def test_cards_are_found_by_their_device(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/apex_1").touch()
    (tmp_path / "dev/apex_0").touch()
    assert list_tpus(tmp_path, []) == [Tpu("pci", str(tmp_path / "dev" / name)) for name in ("apex_0", "apex_1")]


def test_a_machine_without_any_has_none(tmp_path: Path) -> None:
    assert list_tpus(tmp_path, []) == []


def test_the_other_package_named_pycoral_is_not_even_imported(tmp_path: Path) -> None:
    (tmp_path / "pycoral").mkdir()
    (tmp_path / "pycoral/__init__.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\n")
    assert list_tpus(tmp_path, [str(tmp_path)]) == []
    assert not (tmp_path / "imported").exists()


def test_a_pycoral_of_google_that_crashes_or_is_not_importable_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pycoral/utils").mkdir(parents=True)
    (tmp_path / "pycoral/utils/edgetpu.py").write_text("import os\nos.abort()\n")
    (tmp_path / "pycoral/__init__.py").touch()
    stick = usb_device(tmp_path, "2-1", "18d1", "9302")
    assert [tpu.path for tpu in list_tpus(tmp_path, [str(tmp_path)])] == [str(stick)]


def test_what_googles_pycoral_lists_is_believed(tmp_path: Path) -> None:
    (tmp_path / "pycoral/utils").mkdir(parents=True)
    (tmp_path / "pycoral/__init__.py").touch()
    (tmp_path / "pycoral/utils/edgetpu.py").write_text(
        'def list_edge_tpus():\n    return [{"type": "pci", "path": "/dev/apex_7"}]\n'
    )
    assert list_tpus(tmp_path, [str(tmp_path)]) == [Tpu("pci", "/dev/apex_7")]


def test_a_compiled_file_is_told_from_a_stock_one(tmp_path: Path) -> None:
    assert is_compiled(compiled_model(tmp_path / "tpu.tflite"))
    assert not is_compiled(echo_model(tmp_path / "cpu.tflite"))


@needs_models
def test_googles_own_files_are_told_apart() -> None:
    assert is_compiled(model("movenet_singlepose_lightning_int8_edgetpu.tflite"))
    assert not is_compiled(model("movenet_singlepose_lightning_int8.tflite"))
