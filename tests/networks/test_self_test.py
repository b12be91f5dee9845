"""Networks that are not what they were are found out before an image is made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from small_policy import small_policy
from vlm_world import Table
from world import MINIATURE, Gate

from lora_checks.__main__ import main
from lora_checks.core.errors import ConfigError, SelfTestError
from lora_checks.core.store import Store
from lora_checks.networks import arcface, build, clip, lpips, self_test
from lora_checks.networks.self_test import scores
from lora_checks.policy.reading import load_policy

SLOTS = ("arcface", "clip", "trunk")


@cache
def settings_of(slot: str) -> Mapping[str, Any]:
    return load_policy(MINIATURE).networks[slot]


def check(slot: str, settings: Mapping[str, Any], store: Path) -> self_test.Scores:
    return self_test.check(slot, settings, build(slot, settings, "cpu"), Store(store), "cpu")


def perturb_safetensors(file: Path) -> None:
    """Change one tensor by a tenth."""
    from safetensors.torch import load_file, save_file

    state = load_file(file)
    name = max((n for n in state if state[n].ndim == 4), key=lambda n: state[n].numel())
    state[name] = state[name] * 1.1
    save_file(state, file)


def perturb_onnx(file: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(file)
    largest = max(model.graph.initializer, key=lambda tensor: int(np.prod(tensor.dims)))
    values = onnx.numpy_helper.to_array(largest)
    largest.CopyFrom(onnx.numpy_helper.from_array((values * 1.1).astype(values.dtype), largest.name))
    onnx.save(model, file)


def changed(slot: str, folder: Path) -> dict[str, Any]:
    """Return the miniature's settings with the expected numbers, and a changed copy of its weights."""
    settings = dict(settings_of(slot))
    if slot == "trunk":
        shutil.copy(settings["file"], folder / "trunk.safetensors")
        perturb_safetensors(folder / "trunk.safetensors")
        return settings | {"file": str(folder / "trunk.safetensors")}
    if slot == "clip":
        shutil.copytree(settings["path"], folder / "clip")
        perturb_safetensors(next((folder / "clip").glob("*.safetensors")))
        return settings | {"path": str(folder / "clip")}
    shutil.copytree(settings["root"], folder / "faces")
    perturb_onnx(folder / "faces" / "models" / "miniature" / "w_miniature.onnx")
    return settings | {"root": str(folder / "faces")}


@pytest.mark.parametrize("slot", SLOTS)
def test_the_miniatures_networks_are_what_its_policy_and_the_packages_table_say(
    slot: str, tmp_path: Path
) -> None:
    found = check(slot, settings_of(slot), tmp_path)
    unsaid = {key: value for key, value in settings_of(slot).items() if key != "self_test"}
    assert check(slot, unsaid, tmp_path / "other") == found
    assert build(slot, unsaid, "cpu").id in self_test.known()


@pytest.mark.parametrize("slot", SLOTS)
def test_one_changed_tensor_is_an_error_that_names_network_and_numbers(slot: str, tmp_path: Path) -> None:
    with pytest.raises(SelfTestError, match=rf"networks: {slot}: .* is -?\d+\.\d+, not -?\d+\.\d+.*policy"):
        check(slot, changed(slot, tmp_path), tmp_path / "store")


def swapped_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = scores.decode
    monkeypatch.setattr(scores, "decode", lambda path: np.ascontiguousarray(decode(path)[:, :, ::-1]))


def nearest_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    """CLIP's pictures are scaled down without a filter, as with a changed default."""
    from PIL import Image

    plain = Image.Image.resize

    def resize(self: Image.Image, size: Any, *_: Any, **__: Any) -> Image.Image:
        return plain(self, size, Image.Resampling.NEAREST)

    monkeypatch.setattr(Image.Image, "resize", resize)


@pytest.mark.parametrize("slot", SLOTS)
def test_swapped_colours_are_an_error(slot: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swapped_colours(monkeypatch)
    with pytest.raises(SelfTestError, match=f"networks: {slot}"):
        check(slot, settings_of(slot), tmp_path)


def test_another_way_of_resizing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nearest_neighbour(monkeypatch)
    with pytest.raises(SelfTestError, match=r"networks: clip: .*large is"):
        check("clip", settings_of("clip"), tmp_path)


def test_without_numbers_to_expect_a_later_version_is_held_against_the_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_test, "known", dict)
    settings = {key: value for key, value in settings_of("trunk").items() if key != "self_test"}
    check("trunk", settings, tmp_path)
    monkeypatch.setattr(self_test, "libraries", lambda: ("torch 99.0",))
    check("trunk", settings, tmp_path)  # another version that computes the same
    monkeypatch.setattr(self_test, "libraries", lambda: ("torch 99.1",))
    swapped_colours(monkeypatch)
    with pytest.raises(
        SelfTestError, match=r"first run with this store; since then libraries \(torch .*delete"
    ):
        check("trunk", settings, tmp_path)


def test_weights_changed_under_the_same_name_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_test, "known", dict)
    shutil.copy(settings_of("trunk")["file"], tmp_path / "trunk.safetensors")
    settings = {"net": "squeeze", "file": str(tmp_path / "trunk.safetensors")}
    check("trunk", settings, tmp_path / "store")
    perturb_safetensors(tmp_path / "trunk.safetensors")
    with pytest.raises(SelfTestError, match=r"since then its weights or settings \(trunk/1"):
        check("trunk", settings, tmp_path / "store")


def test_what_the_store_knows_is_not_asked_of_the_network_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check("trunk", settings_of("trunk"), tmp_path)
    monkeypatch.setattr(scores, "examine", lambda _: pytest.fail("the network was loaded"))
    check("trunk", settings_of("trunk"), tmp_path)
    wrong = dict(settings_of("trunk")) | {"self_test": {"first-second": 0.1}}
    with pytest.raises(SelfTestError, match=r"first-second is 0\.640, not 0\.100"):
        check("trunk", wrong, tmp_path)


class Broken:
    """A network whose features are computed by ``of``."""

    id, label = "broken/1", "the broken one"

    def __init__(self, of: Callable[[list[np.ndarray]], np.ndarray]) -> None:
        self.images = of


@pytest.mark.parametrize(
    ("of", "complaint"),
    [
        (lambda pixels: np.full((len(pixels), 4), np.nan), "not finite"),
        (lambda pixels: np.ones((len(pixels), 4)), "two different pictures have the same features"),
        (lambda pixels: np.random.default_rng().normal(size=(len(pixels), 4)), "same picture twice"),
        (
            lambda pixels: np.stack([p.mean((0, 1)) for p in pixels]) + len(pixels),
            "a picture has other features alone",
        ),
    ],
)
def test_a_network_that_contradicts_itself_is_an_error_without_any_numbers(
    of: Callable[[list[np.ndarray]], np.ndarray], complaint: str
) -> None:
    with pytest.raises(SelfTestError, match=complaint):
        scores.examine(Broken(of))


def test_a_function_that_is_not_a_distance_is_an_error() -> None:
    class Pairs:
        id, label = "pairs/1", "the broken one"

        def distances(self, x: list[np.ndarray], y: list[np.ndarray]) -> np.ndarray:
            return np.full((len(x), len(y)), 0.3)

        def paired(self, x: list[np.ndarray], _: list[np.ndarray]) -> np.ndarray:
            return np.full(len(x), 0.3)

    with pytest.raises(SelfTestError, match=r"a picture is 0\.3 away from itself"):
        scores.examine(Pairs())


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({}, "must hold names and numbers"),
        ({"first": "x"}, "names and numbers"),
        ({"firts": 1}, "no 'firts'"),
    ],
)
def test_expected_numbers_that_cannot_be_compared_are_an_error_of_the_policy(
    said: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"networks: trunk: self_test: .*{complaint}"):
        check("trunk", dict(settings_of("trunk")) | {"self_test": said}, tmp_path)


def test_the_gate_ends_before_anything_is_generated(gate: Gate) -> None:
    """Run the gate with an empty store."""
    policy = gate.world.write(gate.folder / "policy")
    path = policy / "thresholds.yaml"
    found = yaml.safe_load(path.read_text())
    found["networks"]["trunk"]["self_test"] = {"first-second": 0.5}
    path.write_text(yaml.safe_dump(found, sort_keys=False))
    run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-store", gate.folder / "fresh")
    assert run.code == 4
    assert "first-second is 0.640, not 0.500 (by the policy)" in run.err
    assert not (gate.folder / "fresh" / "images").exists()


def test_the_command_prints_what_a_policy_can_keep(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["selftest", "--policy", str(MINIATURE)]) == 0
    assert "trunk: 10 numbers are what the policy says" in capsys.readouterr().out
    assert main(["selftest", "--policy", str(MINIATURE), "--record"]) == 0
    recorded = yaml.safe_load(capsys.readouterr().out)["networks"]
    for slot in SLOTS:
        assert recorded[slot]["self_test"] == pytest.approx(
            settings_of(slot)["self_test"], abs=1e-3, rel=1e-3
        )
    swapped_colours(monkeypatch)
    assert main(["selftest", "--policy", str(MINIATURE)]) == 1
    assert "clip: " in capsys.readouterr().out


def test_the_networks_of_the_reference_packages_can_be_tested(
    inception: Any, alex_file: Path, clip_folder: Path
) -> None:
    """The real architectures, with random weights."""
    nets = [
        inception,
        lpips.Lpips({"net": "alex", "trunk_file": str(alex_file)}, "cpu"),
        clip.Clip({"path": str(clip_folder)}, "cpu"),
    ]
    for network in nets:
        assert json.dumps(scores.examine(network), allow_nan=False)


def test_a_recogniser_is_tested_where_its_detector_finds_nobody() -> None:
    """A detector trained on photos finds no face in a drawing; the recogniser must be tested all the same."""
    blind = arcface.ArcFace({"root": settings_of("arcface")["root"], "pack": "miniature", "det_size": 64,
                             "det_thresh": 1}, "cpu")  # fmt: skip
    found = scores.examine(blind)
    assert (found["faces-first"], found["faces-second"]) == (0, 0)
    assert found["first-second"] == pytest.approx(
        settings_of("arcface")["self_test"]["first-second"], abs=1e-3
    )


def test_the_command_shows_a_vision_model_two_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: type[Table]
) -> None:
    rows = "checks:\n  limbs: {metric: judge, network: vlm, question: limbs, min: 0.5, why: w}\n"
    small_policy(tmp_path, f"networks: {{vlm: {{kind: judge, api: table}}}}\n{rows}")
    assert main(["selftest", "--policy", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("vlm: looks at pictures; ")
    table.answer = staticmethod(lambda *_: 0.5)
    assert main(["selftest", "--policy", str(tmp_path)]) == 2
    assert "a table does not look at pictures" in capsys.readouterr().err
