"""Decode latents where the VAE overflows in float16 or finds too little memory, without denoising again.

Denoising a batch takes minutes, decoding it a second. So what can go wrong in the VAE is put right inside the
call of the VAE, whatever pipeline makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lora_checks.core.errors import NoRoomError
from lora_checks.core.records import ImageSpec
from lora_checks.diffusion.device_memory import free, out_of_memory

Say = Callable[[str], None]


@dataclass
class Limits:
    """Limits of this machine found during a run; they stay valid when the pipeline is reloaded."""

    batch: int | None = None  # largest batch that fits, once memory ran out
    float32_vae: bool = False
    decode_singly: bool = False


@contextmanager
def guarded(pipe: Any, spec: ImageSpec, limits: Limits, say: Say) -> Iterator[None]:
    """Let the pipeline's VAE decode through a `_Decoder` during the block; ``spec`` is one of its images."""
    vae = getattr(pipe, "vae", None)
    if vae is None or not hasattr(vae, "decode"):
        yield
        return
    own = vars(vae).get("decode")
    vae.decode = _Decoder(vae, vae.decode, spec, limits, say)
    try:
        yield
    finally:
        if own is None:
            del vae.decode
        else:
            vae.decode = own


@dataclass
class _Decoder:
    """A VAE's ``decode`` that does not give up at the first obstacle."""

    vae: Any
    decode: Callable[..., Any]
    spec: ImageSpec
    limits: Limits
    say: Say

    def __call__(self, latents: Any, *rest: Any, **options: Any) -> Any:
        """Decode as the VAE does: VAEs of SD 1.x and XL exceed float16's 65504, and then in float32."""
        import torch

        if self.limits.float32_vae and not is_elsewhere(self.vae):
            self.vae.to(torch.float32)
        output = self._fitted(latents, *rest, **options)
        if self.vae.dtype is not torch.float16 or is_elsewhere(self.vae) or _finite(output):
            return output
        if not bool(latents.isfinite().all()):  # the denoiser's fault
            return output
        self.vae.to(torch.float32)
        again = self._fitted(latents, *rest, **options)
        self.limits.float32_vae = _finite(again)
        if self.limits.float32_vae:
            self.say("the VAE of this base overflows in float16: it decodes in float32 from here on")
        else:  # what is made after this must not be another picture because of it
            self.vae.to(torch.float16)
        return again

    def _fitted(self, latents: Any, *rest: Any, **options: Any) -> Any:
        """Decode together, or one at a time if memory holds no more."""
        if not self.limits.decode_singly:
            output = self._attempt(latents, *rest, **options)
            if output is not None:
                return output
            if len(latents) > 1:
                self.say(
                    f"memory does not hold {len(latents)} images in the VAE: it decodes one at a time "
                    "from here on"
                )
                self.limits.decode_singly = True
        outputs = []
        for one in latents.split(1):
            output = self._attempt(one, *rest, **options)
            if output is None:
                raise self._no_room()
            outputs.append(output)
        return _joined(outputs)

    def _attempt(self, latents: Any, *rest: Any, **options: Any) -> Any:
        """Return the output, or None if memory ran out; what it took is free again by then."""
        import torch

        # Latents come in the pipeline's own format, and its pipelines do not cast them.
        if self.vae.dtype is torch.float32:
            latents = latents.to(torch.float32)
        try:
            return self.decode(latents, *rest, **options)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        free(self.spec.device)
        return None

    def _no_room(self) -> NoRoomError:
        size = f"{self.spec.sampler.width}x{self.spec.sampler.height}"
        return NoRoomError(
            f"{self.spec.device} has not enough memory to decode one {size} image, which was denoised; pass "
            "--lora-save-memory vae-tiling, or --lora-offload model so that the VAE is alone there"
        )


def is_elsewhere(module: Any) -> bool:
    """Offloaded layer by layer: its weights are placeholders, whose format cannot be changed."""
    return any(weight.is_meta for weight in module.parameters())


def _pixels(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output.sample


def _finite(output: Any) -> bool:
    return bool(_pixels(output).isfinite().all())


def _joined(outputs: list[Any]) -> Any:
    """Join outputs of single images into one of their kind."""
    import torch

    first = outputs[0]
    pixels = torch.cat([_pixels(output) for output in outputs])
    return (pixels, *first[1:]) if isinstance(first, tuple) else type(first)(sample=pixels)
