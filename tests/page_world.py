"""A report with pictures and features on disk, made in a moment, for the page's tests and its benchmark."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lora_checks.core.records import Lora, Measurement, Threshold, Verdict
from lora_checks.core.store import Store, to_npy
from lora_checks.judge.verdict import judge
from lora_checks.record import document

Document = dict[str, Any]
NETWORK = "clip/1 decoder=1 0123456789abcdef"
ROWS = (
    Threshold("likeness", "similarity", "Is it the subject?", min=0.5, network="clip", max_missing=0.2),
    Threshold("adherence", "clip_score", "Does it do as it is told?", min=0.3, rule="bound"),
    Threshold("drift", "lpips", "Does it stay near?", max=0.6),
)
FEATURES = 16


def photo(seed: int, size: int, grain: float = 8.0) -> np.ndarray:
    """(size, size, 3) uint8: coarse shapes, finer ones, and grain, as heavy to compress as a photograph."""
    rng = np.random.default_rng(seed)
    found = np.zeros((size, size, 3))
    for cells, weight in ((3, 1.0), (9, 0.45), (27, 0.2)):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        found += weight * (np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), float) - 128)
    return np.clip(128 + found / 1.2 + rng.normal(0, grain, found.shape), 0, 255).astype(np.uint8)


def keep(path: Path, pixels: np.ndarray) -> dict[str, str]:
    """As a PNG: its name, digest and place."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    return {"name": path.name, "sha256": sha256, "file": str(path)}


def page_document(
    folder: Path,
    loras: Sequence[str] = ("good", "poor"),
    prompts: int = 3,
    seeds: int = 2,
    size: int = 64,
    references: int = 4,
    **run: Any,
) -> Document:
    """Of every LoRA each prompt and seed, with its base; the last LoRA's second image has no value."""
    store, names = Store(folder / "store"), [f"p{i}/{seed}" for i in range(prompts) for seed in range(seeds)]
    kept = [keep(folder / "references" / f"{i:02}.png", photo(900 + i, size)) for i in range(references)]
    base = {
        name: keep(folder / "base" / f"{i}.png", photo(500_000 + i, size)) for i, name in enumerate(names)
    }
    pictures = {
        lora: [
            keep(folder / lora / f"{i}.png", photo(10_000 * (which + 1) + i, size, 8.0 + 20 * which))
            for i in range(len(names))
        ]
        for which, lora in enumerate(loras)
    }
    features = _features(store, [*kept, *(picture for own in pictures.values() for picture in own)])
    verdicts = [
        verdict
        for which, lora in enumerate(loras)
        for verdict in _verdicts(lora, which, len(loras), names, pictures[lora], kept, features)
    ]
    facts = {
        "base": {"model": "some/base", "digest": "3f2a91bb", "label": "base 3f2a91"},
        "policy": {"directory": "gate", "digest": "abcdef99" * 8, "parts": {"prompts": "12ab" * 16}},
        "prompts": [
            {"id": f"p{i}", "text": f"photo of a sks person, scene {i}", "tags": ["indoors", f"scene-{i}"]}
            for i in range(prompts)
        ],
        "seeds": list(range(seeds)),
        "trigger": "sks",
        "class_words": "a person",
        "sampler": {"steps": 20, "guidance": 7.5, "width": size, "height": size, "negative": ""},
        "hardware": "8 cores",
        "companions": [],
        "report": str(folder / "report"),
        "started": "2026-11-24T18:50:00+00:00",
        "device": "cpu",
        "warnings": [],
        "versions": ["torch 2.14.1"],
        "networks": {"clip": {"name": "the CLIP"}},
        "folders": {"references": {"digest": "9f" * 32, "images": kept}},
        "finished": "2026-11-24T18:57:57+00:00",
        "store": str(store.root),
        "command": "pytest --lora loras",
        "loras": [_lora(lora, names, pictures[lora], base) for lora in loras],
        "required": [(verdict.lora, verdict.check) for verdict in verdicts],
    }
    return document.build(facts | run, verdicts)


def _lora(name: str, names: list[str], pictures: list[dict[str, str]], base: dict[str, Any]) -> Document:
    return {
        "name": name,
        "path": f"loras/{name}.safetensors",
        "sha256": "9c1e" * 16,
        "scale": 1.0,
        "ranks": [4],
        "facts": {"kind": "diffusers"},
        "pictures": [
            {
                "name": image,
                "prompt": image.rpartition("/")[0],
                "seed": int(image.rpartition("/")[2]),
                "sha256": picture["sha256"],
                "file": picture["file"],
                "recipe": hashlib.sha256(f"recipe {name} {image}".encode()).hexdigest(),
                "base": {key: base[image][key] for key in ("sha256", "file")},
            }
            for image, picture in zip(names, pictures, strict=True)
        ],
    }


def _features(store: Store, pictures: Sequence[dict[str, str]]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    found = {}
    for picture in pictures:
        found[picture["sha256"]] = rng.normal(size=FEATURES).astype(np.float32)
        store.put(store.array(NETWORK, picture["sha256"]), to_npy(found[picture["sha256"]]))
    return found


def _verdicts(
    lora: str,
    which: int,
    loras: int,
    names: list[str],
    pictures: list[dict[str, str]],
    kept: list[dict[str, str]],
    features: dict[str, np.ndarray],
) -> list[Verdict]:
    """The first LoRA is good; each later one is worse, and the last has an image without a value."""
    rng = np.random.default_rng(which)
    x, y = (np.stack([features[p["sha256"]] for p in one]) for one in (pictures, kept))
    alike = (x @ y.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)
    matches = tuple(
        (name, f"references/{kept[i]['name']}") for name, i in zip(names, alike.argmax(1), strict=True)
    )
    found = []
    for row, middle in zip(ROWS, (0.75 - 0.2 * which, 0.4 - 0.15 * which, 0.3 + 0.2 * which), strict=True):
        values: list[float | None] = [float(v) for v in rng.normal(middle, 0.05, len(names))]
        if which == loras - 1 and row.name == "likeness" and len(names) > 1:
            values[1] = None
        there = [value for value in values if value is not None]
        measurement = Measurement(
            row.metric, "mean", float(np.mean(there)), len(there), len(values) - len(there),
            "lower" if row.name == "drift" else "higher", f"{row.metric}/1 {NETWORK}", "the CLIP",
            against=f"references ({len(kept)})" if row.name == "likeness" else "", prompts=9,
            low=float(np.mean(there)) - 0.03, high=float(np.mean(there)) + 0.03,
            per_image=tuple(zip(names, values, strict=True)), extremes=(min(there), max(there)),
            **({"matches": matches} if row.name == "likeness" else {}),
        )  # fmt: skip
        found.append(judge(measurement, row, _file(lora), f"store/{lora}"))
    return found


def _file(name: str) -> Lora:
    return Lora(
        Path(f"loras/{name}.safetensors"), name, "9c1e" * 16, "diffusers", (4,), (4.0,), {"unet": 3}, 6
    )
