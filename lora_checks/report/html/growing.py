"""A run that goes on: what is judged so far, and images that are in the store but not yet measured."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image

from lora_checks.core.files import file_sha256
from lora_checks.core.records import Prompt
from lora_checks.core.words import count
from lora_checks.images.plan import noise_seed
from lora_checks.images.png import METADATA_KEY

MADE = "made.jsonl"  # in the store: a line an image, in the order in which they were made
RECIPE = ("prompt_id", "prompt", "digest")  # what is read of an image's own recipe, beside its seed
Row = Mapping[str, Any]
Document = dict[str, Any]


def finished(document: Row) -> bool:
    return bool(document["run"].get("finished"))


def grown(document: Document) -> Document:
    """The document with the images of LoRAs that are still being generated, as far as the store has them."""
    lacking = {_sha256(lora): lora for lora in document["loras"] if not lora.get("pictures")}
    lacking.pop("", None)
    if finished(document) or not lacking:
        return document
    found: dict[str, list[Document]] = {}
    for recipe, path in _recipes(document["run"]):
        picture = _picture(document["run"], recipe, path)
        if recipe.get("lora_sha256") in lacking and picture is not None:
            found.setdefault(recipe["lora_sha256"], []).append(picture)
    loras = [
        lora | {"pictures": found.get(_sha256(lora), lora.get("pictures"))} for lora in document["loras"]
    ]
    return document | {"loras": loras}


def words(document: Row) -> str:
    """ "12 of 35 rows judged, 41 of 160 images"."""
    run, loras = document["run"], document["loras"]
    rows = sum(len(lora["rows"]) for lora in loras)
    everything = rows + sum(len(lora["missing"]) for lora in loras)
    images = sum(len(lora.get("pictures") or ()) for lora in loras)
    asked = len(run.get("prompts") or ()) * len(run.get("seeds") or ()) * len(loras)
    of_images = f" of {asked}" if asked >= images and not run.get("until_decided") else ""
    return f"{rows} of {count(everything, 'row')} judged, {images}{of_images} images"


def _sha256(lora: Row) -> str:
    """Known from the first verdict on the file, before the record of the LoRA has it."""
    return lora.get("sha256") or next((row["lora_sha256"] for row in lora["rows"] if row["lora_sha256"]), "")


def _recipes(run: Row) -> list[tuple[Document, Path]]:
    """Of each image that was made since the run began: the recipe that it carries, and the image."""
    found: list[tuple[Document, Path]] = []
    store = Path(run.get("store") or "")
    try:
        lines = (store / MADE).read_text(encoding="utf-8").splitlines(keepends=True)
        began = datetime.fromisoformat(run["started"]).timestamp()
    except (OSError, ValueError, KeyError):
        return found
    for line in lines:
        if not line.endswith("\n"):
            continue
        # A line or an image that is damaged is not shown here; the gate says so when it measures the image.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, SyntaxError):
            name = str(json.loads(line)["image"])
            path = store / "images" / name[:2] / f"{name}.png"
            if path.is_file() and path.stat().st_mtime >= began - 1:
                with Image.open(path, formats=("PNG",)) as image:
                    recipe = json.loads(image.info[METADATA_KEY])
                if all(isinstance(recipe.get(key), str) for key in RECIPE):
                    found.append((recipe, path))
    return found


def _picture(run: Row, recipe: Row, path: Path) -> Document | None:
    """As the record has it; None for an image of a prompt or seed that the run did not ask for."""
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
        "sha256": file_sha256(path),
        "file": str(path),
        "recipe": recipe["digest"],
        "base": None,
    }
