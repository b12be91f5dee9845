"""ImageSpec -> PNG bytes. The only file that knows diffusers."""

from __future__ import annotations

import gc
import io
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks import apply, proof
from lora_checks.apply import Adapter
from lora_checks.base import ResolvedBase
from lora_checks.errors import GenerationError
from lora_checks.pipeline import check_prompt_lengths, load_pipeline
from lora_checks.records import ImageSpec, Lora, PromptSet, Proof

RESIDENT = 4  # LoRAs kept on the pipeline: to switch to one costs a thirtieth of loading it
METADATA_KEY = "lora_checks"  # PNG text chunk with the image's recipe


class Studio:
    """One loaded pipeline, and the LoRAs that are on it.

    The pipeline loads with the first image and is kept while LoRAs are gated one after another; the last few
    of them stay on it, switched off. One on which a LoRA failed is thrown away: what a loader leaves behind
    can make every later image wrong without an error.
    """

    def __init__(
        self,
        base: ResolvedBase,
        prompts: PromptSet,
        device: str,
        dtype: str,
        companions: Sequence[Lora] = (),
        unused_tensors: Sequence[str] = (),
    ) -> None:
        self._base, self._prompts, self._device, self._dtype = base, prompts, device, dtype
        self._companions, self._unused_tensors = tuple(companions), tuple(unused_tensors)
        self._pipe: Any = None
        self._adapters: dict[str, Adapter] = {}  # sha256 -> what is on the pipeline, last used last

    def render(self, specs: Sequence[ImageSpec], lora: Lora | None) -> Iterator[bytes]:
        """PNG bytes for each spec, made in one batch; all specs are with ``lora`` or all without.

        Raises `GenerationError` for an image that is black or not finite, `LoraFileError` if the file
        changed since it was inspected, `ConfigError` for a prompt that the tokenizer would cut.
        """
        with self._at_work():
            loras = [*self._companions, *([lora] if lora else [])]
            apply.activate(self._pipe, {self._adapter(found).name: found.scale for found in loras})
            pixels = self._sample(specs)
        for spec, image in zip(specs, pixels, strict=True):
            yield to_png(to_uint8(image, spec, self._dtype), spec)

    def prove(self, lora: Lora, others: Sequence[Lora]) -> Proof:
        """That ``lora`` does on the base what its file says, ``others`` being active too."""
        with self._at_work():
            adapter = self._adapter(lora)
            strengths = {self._adapter(other).name: other.scale for other in others}
            apply.activate(self._pipe, strengths | {adapter.name: lora.scale})
            return proof.prove(self._pipe, adapter, lora.scale, strengths)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """With the pipeline on its device; after a failure there is none."""
        try:
            # a host project's `-W error` is about its own code, not about diffusers' deprecations
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if self._pipe is None:
                    check_prompt_lengths(self._base, self._prompts)
                    self._pipe = load_pipeline(self._base, self._prompts, self._device, self._dtype)
                self._pipe.to(self._device)
                yield
        except BaseException:
            self._discard()
            raise

    def _adapter(self, lora: Lora) -> Adapter:
        """The LoRA on the pipeline, put there unless it still is; the least used of many makes room."""
        adapter = self._adapters.pop(lora.sha256, None)
        if adapter is None:
            if len(self._adapters) > RESIDENT + len(self._companions):
                kept = {companion.sha256 for companion in self._companions}
                oldest = next(sha256 for sha256 in self._adapters if sha256 not in kept)
                apply.remove(self._pipe, self._adapters.pop(oldest).name)
            adapter = apply.load(self._pipe, lora, f"lora_{lora.sha256[:16]}", self._unused_tensors)
        self._adapters[lora.sha256] = adapter
        return adapter

    def rest(self) -> None:
        """Free the accelerator's memory for the networks that measure; the weights wait in main memory."""
        if self._pipe is not None and self._device != "cpu":
            self._pipe.to("cpu")
            _free(self._device)

    def _sample(self, specs: Sequence[ImageSpec]) -> NDArray[np.float32]:
        """(N, H, W, 3) in [0, 1]; halves the batch when the accelerator's memory does not hold it."""
        import torch

        try:
            return self._call(specs)
        except torch.OutOfMemoryError:
            if len(specs) == 1:
                raise GenerationError(
                    f"{self._device} has not enough memory for one {specs[0].sampler.width}x"
                    f"{specs[0].sampler.height} image; close what else uses it or pass --dtype float16"
                ) from None
        gc.collect()
        torch.cuda.empty_cache()
        half = len(specs) // 2
        return np.concatenate([self._sample(specs[:half]), self._sample(specs[half:])])

    def _call(self, specs: Sequence[ImageSpec]) -> NDArray[np.float32]:
        import torch

        sampler = specs[0].sampler
        # One generator per image, on the CPU: an image then does not depend on its batch or its device.
        generators = [torch.Generator("cpu").manual_seed(spec.seed) for spec in specs]
        with torch.inference_mode():
            images: NDArray[np.float32] = self._pipe(
                prompt=[spec.prompt.text for spec in specs],
                negative_prompt=[sampler.negative] * len(specs) if sampler.negative else None,
                num_inference_steps=sampler.steps,
                guidance_scale=sampler.guidance,
                width=sampler.width,
                height=sampler.height,
                generator=generators,
                output_type="np",
            ).images
        return images

    def _discard(self) -> None:
        self._pipe, self._adapters = None, {}
        _free(self._device)


def _free(device: str) -> None:
    gc.collect()
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()


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


def to_png(pixels: NDArray[np.uint8], spec: ImageSpec) -> bytes:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt(METADATA_KEY, json.dumps(recipe(spec), sort_keys=True))
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
        "base": spec.base,
        "lora_sha256": spec.lora,
        "lora_scale": spec.lora_scale,
        "dtype": spec.dtype,
        "device": spec.device,
        "versions": list(spec.versions),
    }
