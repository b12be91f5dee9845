"""Encode pixels as a PNG that holds the picture's recipe, and read stored pictures."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core import png_chunks
from lora_checks.core.errors import DamagedError, GenerationError
from lora_checks.core.records import ImageFile, ImageSpec
from lora_checks.core.store import read_bytes
from lora_checks.images.plan import COMPILED, SEAT

METADATA_KEY = "lora_checks"  # PNG text chunk with the image's recipe


def to_uint8(image: NDArray[np.float32], spec: ImageSpec, dtype: str) -> NDArray[np.uint8]:
    """Convert (H, W, 3) in [0, 1] to uint8, rounding as diffusers does.

    Raises:
        GenerationError: The image has a NaN or is black; the message has the likely cause.
    """
    where = f"prompt '{spec.prompt.id}', noise seed {spec.seed}"
    if not np.isfinite(image).all():
        raise GenerationError(
            f"{where}: the image is not finite (NaN); "
            + ("this base overflows in float16: pass --lora-dtype bfloat16" if dtype == "float16" else "")
            + ("the LoRA or the base holds values that overflow" if dtype != "float16" else "")
        )
    pixels = (image * 255).round().astype(np.uint8)
    if not pixels.any():
        raise GenerationError(f"{where}: the image is black; nothing can be measured on it")
    return pixels


def to_png(pixels: NDArray[np.uint8], spec: ImageSpec, how: Mapping[str, Any]) -> bytes:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt(METADATA_KEY, json.dumps(recipe(spec) | dict(how), sort_keys=True))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=info)
    return png_chunks.seal(buffer.getvalue())


def stored(path: Path, spec: ImageSpec, name: str) -> ImageFile:
    """Return the picture of ``spec`` in the store.

    Raises:
        FileNotFoundError: The store has no such picture.
        DamagedError: The picture was changed, or its recipe is not ``spec``, as in a store that somebody
            copied or edited: its verdict would be about another picture.
    """
    sha256, made = read(path)
    if made.get("digest") != spec.digest:
        raise DamagedError(path, "it is the picture of another recipe")
    return ImageFile(path, sha256, name, spec.prompt, spec.seed)


def read(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a stored picture's SHA-256 and recipe; raise `FileNotFoundError` or `DamagedError`."""
    return known(path, read_bytes(path))


def known(path: Path, content: bytes) -> tuple[str, dict[str, Any]]:
    """Return SHA-256 and recipe of a stored picture's content; raise `DamagedError`."""
    sha256 = png_chunks.sealed_sha256(content)
    if sha256 is None:
        raise DamagedError(path, "it is not the picture that was made, or was made by an earlier version")
    return sha256, _recipe(path, content)


def seen(path: Path) -> tuple[str, dict[str, Any]]:
    """Return SHA-256 and recipe of any picture that has a recipe, to show it and not to measure it."""
    content = read_bytes(path)
    return hashlib.sha256(content).hexdigest(), _recipe(path, content)


def _recipe(path: Path, content: bytes) -> dict[str, Any]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            made = json.loads(image.info[METADATA_KEY])
    except (OSError, ValueError, KeyError, SyntaxError) as error:
        why = "it has no recipe" if isinstance(error, KeyError) else error
        raise DamagedError(path, why) from error
    if not isinstance(made, dict):
        raise DamagedError(path, "it has no recipe")
    return made


def recipe(spec: ImageSpec) -> dict[str, Any]:
    """Return everything that is needed to make the image again, for the PNG and for people."""
    sampler = spec.sampler
    return {
        "digest": spec.digest,
        "prompt_id": spec.prompt.id,
        "prompt": spec.prompt.text,
        "negative_prompt": sampler.negative,
        "seed": spec.seed,
        "steps": sampler.steps,
        "guidance_scale": sampler.guidance,
        "width": sampler.width,
        "height": sampler.height,
        "scheduler": sampler.scheduler or "the base's own",
        "scheduler_settings": dict(sampler.scheduler_settings),
        "max_sequence_length": sampler.max_sequence_length,
        "true_cfg_scale": sampler.true_cfg_scale,
        "save_memory": [name for name in spec.memory if name != COMPILED and not name.startswith(SEAT)],
        **_compiled(spec),
        "base": spec.base,
        "lora_sha256": spec.lora,
        "lora_scale": spec.lora_scale,
        "companions": [list(companion) for companion in spec.companions],
        "dtype": spec.dtype,
        "device": spec.device,
        "versions": list(spec.versions),
    }


def _compiled(spec: ImageSpec) -> dict[str, Any]:
    """Return whether the denoiser was compiled, and for the base's images around which layers."""
    around = next((name.removeprefix(SEAT) for name in spec.memory if name.startswith(SEAT)), "")
    return {
        **({"compiled": True} if COMPILED in spec.memory else {}),
        **({"compiled_around": around} if around else {}),
    }
