"""Networks that a package or a conftest.py adds: what is refused before they measure anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lora_checks import ConfigError, PrerequisiteError, network, networks
from lora_checks.core.records import ImageFile
from lora_checks.core.store import Store
from lora_checks.networks import build


@pytest.fixture(autouse=True)
def undeclared() -> Iterator[None]:
    """Remove what a test declares."""
    before = dict(networks.EXTENSIONS._declared)
    yield
    networks.EXTENSIONS._declared.clear()
    networks.EXTENSIONS._declared.update(before)


class Shades:
    id = "shades/1"
    label = "shades"

    def __init__(self, settings: Any, device: str, cache: Any = None) -> None:
        self.settings, self.device, self.cache = settings, device, cache

    def images(self, pixels: Any) -> Any:
        return np.array([[picture.mean(), picture.std()] for picture in pixels], np.float32)


def test_it_gets_settings_and_device_and_its_identity_holds_its_file() -> None:
    network("shades")(Shades)
    shades: Any = build("mine", {"kind": "shades", "bins": 9}, "cpu")
    assert (shades.settings, shades.device) == ({"bins": 9}, "cpu")
    assert shades.id.startswith("shades/1 code=")
    assert len(shades.id) == len("shades/1 code=") + 16


def test_a_slot_may_name_it_and_messages_list_it() -> None:
    network("shades")(Shades)
    assert build("shades", {}, "cpu").label == "shades"
    with pytest.raises(ConfigError, match=r"unknown kind 'shadow'; known: .*shades"):
        build("shadow", {}, "cpu")


class NoLabel(Shades):
    label = ""


class NoMethod:
    id = label = "nothing"

    def __init__(self, settings: Any, device: str, cache: Any = None) -> None:
        pass


class Fixed(Shades):
    id = property(lambda _: "fixed")  # type: ignore[assignment]


class Breaks(Shades):
    def __init__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("no licence")


@pytest.mark.parametrize(
    ("declared", "error", "message"),
    [
        (NoLabel, ConfigError, "has no `label`"),
        (NoMethod, ConfigError, "has none of the methods `images`, `texts`, `distances`"),
        (Fixed, ConfigError, "does not let its `id` be set"),
        (Breaks, PrerequisiteError, "cannot be set up: RuntimeError: no licence"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(declared: type, error: type[Exception], message: str) -> None:
    network("shades")(declared)
    with pytest.raises(error, match=rf"networks: shades: the network of .*{__name__}.py {message}"):
        build("shades", {}, "cpu")


def test_a_kind_of_the_gate_s_own_cannot_be_declared() -> None:
    with pytest.raises(ConfigError, match=r"network 'clip' is declared in .*, but lora-checks .* has one"):
        network("clip")


@pytest.mark.parametrize("rows", [np.zeros((2, 3)), np.zeros(1), np.zeros((1, 3), int), [["a"]], None])
def test_features_of_another_shape_are_refused(rows: Any, tmp_path: Any) -> None:
    from PIL import Image

    from lora_checks.core.errors import MeasureError
    from lora_checks.networks.features import image_features

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    picture = ImageFile(tmp_path / "a.png", "0" * 64, "a")
    shades: Any = Shades({}, "cpu")
    shades.images = lambda _: rows
    with pytest.raises(MeasureError, match="shades"):
        image_features([picture], shades, Store(tmp_path / "store"))
