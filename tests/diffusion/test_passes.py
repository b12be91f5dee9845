"""A whole policy looks at each image once with each network, whatever its rows compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measure_world import PROMPTS
from own_networks import onnx_file
from PIL import Image

from lora_checks import metrics
from lora_checks.core.records import ImageSet, Prompt
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.judge.measure import measure
from lora_checks.judge.task import Task
from lora_checks.networks import ROLES, Extractor, build, slot_of
from lora_checks.networks.features import BATCH

IMAGES, OTHERS = 8, 7
TEXTS = ("a photo of a person", "a photo of a dog")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageSet]:
    """Four prompts with two seeds each; references; training pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    sets, seed = {}, 100
    for name, count in (("candidate", IMAGES), ("references", OTHERS), ("train", OTHERS)):
        images = []
        for i in range(count):
            path, seed = folder / f"{seed}.png", seed + 1
            rough = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
            Image.fromarray(rough).resize((96, 96), Image.Resampling.BICUBIC).save(path)
            prompt = (
                Prompt(f"p{i // 2}", f"photo of sks person, number {i // 2}") if name == "candidate" else None
            )
            images.append(image_file(path, f"p{i // 2}/{i % 2}" if prompt else None, prompt, i % 2))
        sets[name] = ImageSet(name, tuple(images))
    return sets


@pytest.fixture
def networks(
    clip_folder: Path, inception_file: Path, squeeze_file: Path, trunk_file: Path, tmp_path: Path
) -> dict[str, dict[str, Any]]:
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    small = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    ViTModel(small, add_pooling_layer=False).save_pretrained(tmp_path / "dino")
    clip, head = {"path": str(clip_folder)}, tmp_path / "head.pth"
    width = int(np.shape(build("clip", clip, "cpu").texts(["a"]))[1])  # type: ignore[attr-defined]
    torch.save(torch.nn.Linear(width, 1).state_dict(), head)
    return {
        "clip": clip,
        "aesthetic": {**clip, "head": str(head)},
        "inception": {"file": str(inception_file)},
        "lpips": {"net": "squeeze", "trunk_file": str(squeeze_file)},
        "trunk": {"file": str(trunk_file)},
        "dino": {"path": str(tmp_path / "dino")},
        "mine": {"kind": "onnx", "file": str(onnx_file(tmp_path / "mine.onnx")), "size": 32},
    }


def counted(slot: str, network: Any, monkeypatch: pytest.MonkeyPatch, passes: Counter[str]) -> None:
    """Let a network's innermost call note how many images it is given."""
    places: dict[str, tuple[Callable[[], Any], str, Callable[[Any], int]]] = {
        "clip": (lambda: network._model[0], "encode_image", len),
        "aesthetic": (lambda: network.clip._model[0], "encode_image", len),
        "inception": (lambda: network, "_run", len),
        "mine": (lambda: network, "_run", len),
        "lpips": (lambda: network, "_layers", lambda _: 1),
        "trunk": (lambda: network, "_layers", lambda _: 1),
        "dino": (lambda: network._module, "forward", len),
    }
    found, name, size = places[slot]
    owner = found()
    run = getattr(owner, name)

    def noted(x: Any) -> Any:
        passes[slot] += size(x)
        return run(x)

    monkeypatch.setattr(owner, name, noted)


def rows() -> list[tuple[str, str, str]]:
    """(metric, network, against): every metric of a network, the free ones on two, likeness and copies."""
    found = []
    for name in metrics.BUILTIN:
        metric = metrics.get(name)
        if not metric.extractor or metric.extractor in ("arcface", "sface", "spectrum", "judge", *ROLES):
            continue
        if metric.takes == "labelled":  # whose pictures need labels
            continue
        for slot in ("dino", "mine") if metric.extractor == "*" else ("",):
            for against in ("references", "train") if metric.against == "reference" else ("",):
                found.append((name, slot, against))
    return found


def test_each_picture_goes_through_each_network_once(
    pictures: dict[str, ImageSet],
    networks: dict[str, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    passes: Counter[str] = Counter()
    built: dict[str, Extractor] = {}
    for slot, settings in networks.items():
        built[slot] = build(slot, settings, "cpu", cache=tmp_path / "models")
        counted(slot, built[slot], monkeypatch, passes)
    store = Store(tmp_path / "store")
    for name, asked, against in rows():
        metric = metrics.get(name)
        task = Task(metric, pictures["candidate"], pictures.get(against), texts=TEXTS)
        found = measure(task, built[slot_of(metric, asked, networks)], PROMPTS, store)
        assert np.isfinite(found.value)
    everything = dict.fromkeys(networks, IMAGES + 2 * OTHERS)
    # CLIP and DINO always see whole batches, so that a resumed run has the same numbers.
    whole = dict.fromkeys(("clip", "dino"), sum(-(-n // BATCH) * BATCH for n in (IMAGES, OTHERS, OTHERS)))
    assert passes == {**everything, **whole, "aesthetic": IMAGES}  # whose only row compares with nothing
