"""Show an ongoing run: what is judged so far, and images that are not measured yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from lora_checks.core.errors import DamagedError
from lora_checks.core.records import Prompt
from lora_checks.core.store import read_lines
from lora_checks.core.words import count
from lora_checks.images import png
from lora_checks.images.made import FILE
from lora_checks.images.plan import noise_seed
from lora_checks.record.shapes import Document, Lora, Run
from lora_checks.record.shapes.rows import Picture

RECIPE = ("prompt_id", "prompt", "digest")  # required texts of an image's recipe
Recipe = Mapping[str, Any]  # as a picture in the store holds it


def finished(document: Document) -> bool:
    return bool(document["run"].get("finished"))


def grown(document: Document) -> Document:
    """Add the images that the store already has for LoRAs still being generated."""
    lacking = {_sha256(lora): lora for lora in document["loras"] if not lora.get("pictures")}
    lacking.pop("", None)
    if finished(document) or not lacking:
        return document
    made: dict[str, list[Picture]] = {}
    for (sha256, recipe), path in _recipes(document["run"]):
        picture = _picture(document["run"], recipe, sha256, path)
        if recipe.get("lora_sha256") in lacking and picture is not None:
            made.setdefault(recipe["lora_sha256"], []).append(picture)
    loras: list[Lora] = [
        {**lora, "pictures": made.get(_sha256(lora)) or lora.get("pictures") or []}
        for lora in document["loras"]
    ]
    return {**document, "loras": loras}


def words(document: Document) -> str:
    """Return "12 of 35 rows judged, 41 of 160 images"."""
    run, loras = document["run"], document["loras"]
    rows = sum(len(lora["rows"]) for lora in loras)
    everything = rows + sum(len(lora["missing"]) for lora in loras)
    images = sum(len(lora.get("pictures") or ()) for lora in loras)
    asked = len(run.get("prompts") or ()) * len(run.get("seeds") or ()) * len(loras)
    of_images = f" of {asked}" if asked >= images and not run.get("until_decided") else ""
    return f"{rows} of {count(everything, 'row')} judged, {images}{of_images} images"


def _sha256(lora: Lora) -> str:
    """Return the LoRA's SHA-256; before its record has it, from its first verdict."""
    return lora.get("sha256") or next((row["lora_sha256"] for row in lora["rows"] if row["lora_sha256"]), "")


def _recipes(run: Run) -> Iterator[tuple[tuple[str, Recipe], Path]]:
    """Yield digest, recipe and path of each image made since the run began.

    Damaged lines and images are skipped; the gate reports them when it measures the image.
    """
    store = Path(run.get("store") or "")
    try:
        began = datetime.fromisoformat(run["started"]).timestamp()
    except (ValueError, KeyError, TypeError):
        return
    for line in read_lines(store / FILE):
        name = str(line.get("image", ""))
        path = store / "images" / name[:2] / f"{name}.png"
        try:
            if path.stat().st_mtime < began - 1:
                continue
            sha256, recipe = png.seen(path)
        except (OSError, DamagedError):
            continue
        if all(isinstance(recipe.get(key), str) for key in RECIPE):
            yield (sha256, recipe), path


def _picture(run: Run, recipe: Recipe, sha256: str, path: Path) -> Picture | None:
    """Return the picture in the record's form, or None if the run did not ask for its prompt and seed."""
    prompt = Prompt(recipe["prompt_id"], recipe["prompt"])
    seed = next(
        (seed for seed in run.get("seeds") or () if noise_seed(prompt, seed) == recipe.get("seed")), None
    )
    if seed is None:
        return None
    return {
        "name": f"{prompt.id}/{seed}",
        "prompt": prompt.id,
        "seed": seed,
        "sha256": sha256,
        "file": str(path),
        "recipe": recipe["digest"],
        "base": None,
    }
