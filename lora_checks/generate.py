"""ImageSpec -> PNG bytes. The only file that knows diffusers."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.base import ResolvedBase
from lora_checks.errors import GenerationError, LoraFileError, first_line
from lora_checks.memory import Memory
from lora_checks.pipeline import load_pipeline
from lora_checks.records import ImageSpec, Lora, PromptSet
from lora_checks.sampling import Limits, Say, free, sample

ADAPTER = "gated"
METADATA_KEY = "lora_checks"  # PNG text chunk with the image's recipe


@dataclass(frozen=True, slots=True)
class Rendered:
    png: bytes
    how: dict[str, Any]  # what the run came to, of no effect on what the picture is: batch, format of the VAE


class Studio:
    """One loaded pipeline and whichever LoRA is on it.

    The pipeline loads with the first image and is kept while LoRAs are gated one after another. One on
    which a LoRA failed to load is thrown away: diffusers leaves half-built layers behind that make every
    later image wrong without an error.
    """

    def __init__(
        self,
        base: ResolvedBase,
        prompts: PromptSet,
        device: str,
        dtype: str,
        memory: Memory = Memory(),  # noqa: B008  # frozen
        say: Say = lambda _: None,
    ) -> None:
        self._base, self._prompts, self._device, self._dtype = base, prompts, device, dtype
        self._memory, self._say, self._limits = memory, say, Limits()
        self._pipe: Any = None
        self._lora: str | None = None  # sha256 of the LoRA on the pipeline

    def render(self, specs: Sequence[ImageSpec], lora: Lora | None) -> Iterator[Rendered]:
        """A PNG for each spec, made in one batch if memory holds it; all are with ``lora`` or all without.

        Raises `GenerationError` for an image that is black or not finite, `LoraFileError` if the file
        changed since it was inspected.
        """
        with warnings.catch_warnings():
            # a host project's `-W error` is about its own code, not about diffusers' deprecations
            warnings.simplefilter("ignore")
            self._prepare(lora)
            made = list(sample(self._pipe, specs, self._limits, self._say))
        for one in made:
            how = {"batch": one.batch, "vae_dtype": one.vae}
            yield Rendered(to_png(to_uint8(one.pixels, one.spec, self._dtype), one.spec, how), how)

    def rest(self) -> None:
        """Free the accelerator's memory for the networks that measure."""
        if self._pipe is not None and self._device != "cpu":
            self._discard()

    def _prepare(self, lora: Lora | None) -> None:
        if self._pipe is None:
            self._pipe = load_pipeline(self._base, self._prompts, self._device, self._dtype, self._memory)
        wanted = lora.sha256 if lora else None
        if self._lora == wanted:
            return
        if self._lora is not None:
            self._pipe.delete_adapters(ADAPTER)
            self._lora = None
        if lora is not None:
            try:
                apply_lora(self._pipe, lora)
            except BaseException:
                self._discard()
                raise
        self._lora = wanted

    def _discard(self) -> None:
        self._pipe, self._lora = None, None
        free(self._device)


def apply_lora(pipe: Any, lora: Lora) -> None:
    """Load the bytes that were inspected, and prove that every layer of the file is in place and active."""
    content = lora.path.read_bytes()
    if hashlib.sha256(content).hexdigest() != lora.sha256:
        raise LoraFileError(f"{lora.path} changed while it was being gated; run again when it is complete")
    with tempfile.TemporaryDirectory(prefix="lora_checks-") as folder:
        (Path(folder) / "lora.safetensors").write_bytes(content)
        try:
            pipe.load_lora_weights(
                folder,
                weight_name="lora.safetensors",
                adapter_name=ADAPTER,
                use_safetensors=True,
                local_files_only=True,
            )
        except Exception as error:  # diffusers and peft raise whatever the mismatch happens to hit
            raise GenerationError(
                f"{lora.path.name} does not fit the base model: {first_line(error)}"
            ) from error
    pipe.set_adapters([ADAPTER], [1.0])
    check_applied(pipe, lora)


def check_applied(pipe: Any, lora: Lora) -> None:
    """Raises `GenerationError` unless as many layers are adapted as the file has, with weights and strength.

    A good load and one that dropped every key look alike from outside: neither raises.
    """
    for component, expected in lora.components.items():
        module = getattr(pipe, component, None)
        layers = [] if module is None else adapted_layers(module)
        if len(layers) != expected:
            raise GenerationError(
                f"{len(layers)} of {expected} {component} layers of {lora.path.name} were applied: it is of "
                "another base model, or diffusers does not know its keys (two spellings in one file?)"
            )
        for name, layer in layers:
            if any(weight.is_meta for weight in layer.parameters()):
                raise GenerationError(f"{lora.path.name}: layer {name} has no weights after loading")
            if not layer.scaling[ADAPTER] > 0:
                raise GenerationError(f"{lora.path.name}: layer {name} is scaled by {layer.scaling[ADAPTER]}")


def adapted_layers(module: Any) -> list[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    return [
        (name, layer)
        for name, layer in module.named_modules()
        if isinstance(layer, LoraLayer) and ADAPTER in layer.active_adapters and ADAPTER in layer.lora_A
    ]


def to_uint8(image: NDArray[np.float32], spec: ImageSpec, dtype: str) -> NDArray[np.uint8]:
    """(H, W, 3) in [0, 1] -> uint8, as diffusers rounds; a NaN or black image is an error with its cause."""
    where = f"prompt '{spec.prompt.id}', noise seed {spec.seed}"
    if not np.isfinite(image).all():
        raise GenerationError(
            f"{where}: the image is not finite (NaN); "
            + ("this base overflows in float16: pass --dtype bfloat16" if dtype == "float16" else "")
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
    return buffer.getvalue()


def recipe(spec: ImageSpec) -> dict[str, Any]:
    """What it takes to make the image again, for the PNG and for people."""
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
        "save_memory": list(spec.memory),
        "base": spec.base,
        "lora_sha256": spec.lora,
        "lora_scale": spec.lora_scale,
        "dtype": spec.dtype,
        "device": spec.device,
        "versions": list(spec.versions),
    }
