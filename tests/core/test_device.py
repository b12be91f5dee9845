"""Which device and number format are chosen, without asking torch where the answer is plain."""

from __future__ import annotations

import pytest

from lora_checks.core import device
from lora_checks.core.errors import ConfigError, PrerequisiteError

GPUS = ["cuda", "cuda:0", "cuda:1", "cpu"]


@pytest.mark.parametrize(
    ("there", "asked", "chosen"),
    [
        (["cpu"], "auto", "cpu"),
        (GPUS, "auto", "cuda"),
        (["mps", "cpu"], "auto", "mps"),
        (GPUS, "cuda:1", "cuda:1"),
        (GPUS, "cpu", "cpu"),
    ],
)
def test_choice(monkeypatch: pytest.MonkeyPatch, there: list[str], asked: str, chosen: str) -> None:
    monkeypatch.setattr(device, "_devices", lambda: there)
    assert device.choose_device(asked) == chosen


@pytest.mark.parametrize("asked", ["cuda:2", "mps"])
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setattr(device, "_devices", lambda: GPUS)
    with pytest.raises(
        PrerequisiteError, match=f"no {asked} on this machine; it has cuda, cuda:0, cuda:1, cpu"
    ):
        device.choose_device(asked)


@pytest.mark.parametrize("asked", ["gpu", "cuda:", "cuda:-1", "CPU", "", "auto "])
def test_a_name_of_no_device(asked: str) -> None:
    with pytest.raises(ConfigError, match=f"'{asked}' is not a device"):
        device.choose_device(asked)


@pytest.mark.parametrize(
    ("asked", "on", "dtype"),
    [
        ("auto", "cuda:1", "float16"),
        ("auto", "cpu", "float32"),
        ("auto", "mps", "float32"),
        ("bfloat16", "cpu", "bfloat16"),
    ],
)
def test_number_format(asked: str, on: str, dtype: str) -> None:
    assert device.choose_dtype(asked, on) == dtype


@pytest.mark.parametrize(("supported", "dtype"), [(True, "bfloat16"), (False, "float16")])
def test_a_transformer_gets_bfloat16_where_the_gpu_has_it(
    monkeypatch: pytest.MonkeyPatch, supported: bool, dtype: str
) -> None:
    monkeypatch.setattr(device, "_has_bfloat16", lambda: supported)
    assert device.choose_dtype("auto", "cuda", lambda: True) == dtype
    assert device.choose_dtype("auto", "cuda", lambda: False) == "float16"
    assert device.choose_dtype("auto", "cpu", lambda: True) == "float32"


def test_the_libraries_that_make_pixels_are_recorded() -> None:
    names = [version.split()[0] for version in device.library_versions()]
    assert names == ["diffusers", "peft", "torch", "transformers"]
