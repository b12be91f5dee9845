"""Make the pictures that look generated and whose truth is known: what the miniature's judge is trained on.

    python vlm_pictures.py            # about 8 minutes on one core; keeps what it has made

Drawings of few persons, several of each, and what a base makes of them: decoded through the VAE, painted over
by the UNet from half-noisy latents (the person stays), decoded from spoiled latents (a fault), and generated
from noise by a caption. Without them a judge would see every generated picture as faulty.
"""

# mypy: disable-error-code="attr-defined, no-untyped-call"
# (diffusers types neither its models nor its pipelines)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from augment import Image
from common import HELD_OUT, RUNS, TRAINING, drawings, save_checkpoint, to_tensor
from diffusers import StableDiffusionPipeline
from draw import Identity, Scene, hair_words, sample_identity, sample_scene
from faults import Truth, faulty
from generate import GUIDANCE, STEPS, generate, load_pipeline
from PIL import Image as PILImage

Pixels = npt.NDArray[np.uint8]  # (N, 64, 64, 3)

STREAM = 41
SCENES = 4
"""Pictures of each person."""

PERSONS = {TRAINING: 800, HELD_OUT: 120}
CHUNK = 64


def persons(split: int) -> list[tuple[Identity, Scene]]:
    """Return the pairs behind the pictures of a split: `SCENES` in a row show one person."""
    rng = np.random.default_rng([split, STREAM])
    people = [sample_identity(rng) for _ in range(PERSONS[split])]
    return [(person, sample_scene(rng)) for person in people for _ in range(SCENES)]


def full_caption(identity: Identity, scene: Scene) -> str:
    glasses, mood = "wearing" if scene.glasses else "without", "smiling" if scene.smile else "serious"
    words = f"photo of a person in a {scene.shirt} shirt, {glasses} glasses, {mood}"
    return f"{words}, {hair_words(identity)}, {scene.background} background"


class Studio:
    """The miniature's pipeline, taken apart."""

    def __init__(self) -> None:
        self.pipeline: StableDiffusionPipeline = load_pipeline()
        self.vae, self.unet = self.pipeline.vae, self.pipeline.unet
        self.scheduler = self.pipeline.scheduler
        self.scheduler.set_timesteps(STEPS)

    @torch.no_grad()
    def latents(self, pairs: list[tuple[Identity, Scene]]) -> torch.Tensor:
        encoded = self.vae.encode(drawings(pairs)).latent_dist.mode()
        return torch.as_tensor(encoded * self.vae.config.scaling_factor)

    @torch.no_grad()
    def decoded(self, latents: torch.Tensor) -> Pixels:
        images = self.vae.decode(latents / self.vae.config.scaling_factor).sample
        pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
        return np.asarray(pixels.numpy())

    @torch.no_grad()
    def text(self, texts: list[str]) -> torch.Tensor:
        encoded = self.pipeline.tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
        return torch.as_tensor(self.pipeline.text_encoder(encoded.input_ids).last_hidden_state)

    @torch.no_grad()
    def repainted(self, latents: torch.Tensor, texts: list[str], steps: int, seed: int) -> torch.Tensor:
        """Let the UNet do the last `steps` of its way again from latents with noise."""
        text = torch.cat([self.text([""] * len(texts)), self.text(texts)])
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))
        times = self.scheduler.timesteps[STEPS - steps :]
        x = self.scheduler.add_noise(latents, noise, times[:1].expand(len(latents)))
        call: Any = self.unet
        for time in times:
            without, wanted = call(torch.cat([x, x]), time, text).sample.chunk(2)
            x = self.scheduler.step(without + GUIDANCE * (wanted - without), time, x).prev_sample
        return torch.as_tensor(x)


def spoiled(latents: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return latents whose picture is faulty: noise all over, in a patch or in clouds, or amplified."""
    noise = torch.from_numpy(rng.normal(size=latents.shape).astype(np.float32))
    result = latents.clone()
    for i in range(len(latents)):
        kind = rng.integers(4)
        if kind == 0:
            result[i] += float(rng.uniform(0.7, 2.0)) * noise[i]
        elif kind == 1:
            y, x = rng.integers(0, 10, 2)
            h, w = rng.integers(5, 13, 2)
            result[i, :, y : y + h, x : x + w] += (
                float(rng.uniform(1.0, 2.5)) * noise[i, :, y : y + h, x : x + w]
            )
        elif kind == 2:
            result[i] = latents[i] * float(rng.uniform(2.4, 3.6)) + 0.3 * noise[i]
        else:
            coarse = torch.nn.functional.interpolate(
                noise[i : i + 1, :, ::4, ::4], size=(16, 16), mode="bilinear"
            )
            result[i] += float(rng.uniform(1.2, 2.5)) * coarse[0] + float(rng.uniform(0, 0.8)) * noise[i]
    return result


Chunk = Callable[[Studio, list[tuple[Identity, Scene]], int, int], Pixels]


def _round_trip(studio: Studio, pairs: list[tuple[Identity, Scene]], _split: int, _chunk: int) -> Pixels:
    return studio.decoded(studio.latents(pairs))


def _repainted(studio: Studio, pairs: list[tuple[Identity, Scene]], split: int, chunk: int) -> Pixels:
    steps = 4 + chunk % 6
    texts = [full_caption(*pair) for pair in pairs]
    return studio.decoded(studio.repainted(studio.latents(pairs), texts, steps, 10_000 * (split + 1) + chunk))


def _spoiled(studio: Studio, pairs: list[tuple[Identity, Scene]], split: int, chunk: int) -> Pixels:
    rng = np.random.default_rng([split, STREAM + 1, chunk])
    return studio.decoded(spoiled(studio.latents(pairs), rng))


def faulty_pair(split: int, number: int) -> tuple[Image, Truth]:
    """Return the faulty drawing that becomes a picture of kind "faulty", and its truth."""
    rng = np.random.default_rng([split, STREAM + 2, number])
    return faulty(sample_identity(rng), sample_scene(rng), rng)


def _faulty(studio: Studio, pairs: list[tuple[Identity, Scene]], split: int, chunk: int) -> Pixels:
    images = [faulty_pair(split, CHUNK * chunk + i)[0] for i in range(len(pairs))]
    with torch.no_grad():
        latents = studio.vae.encode(to_tensor([PILImage.fromarray(i) for i in images])).latent_dist.mode()
    return studio.decoded(latents * studio.vae.config.scaling_factor)


def _generated(studio: Studio, pairs: list[tuple[Identity, Scene]], split: int, chunk: int) -> Pixels:
    seeds = [1_000_000 * (split + 1) + CHUNK * chunk + i for i in range(len(pairs))]
    images = generate(studio.pipeline, [full_caption(*pair) for pair in pairs], seeds)
    studio.scheduler.set_timesteps(STEPS)
    return np.stack([np.asarray(image) for image in images])


KINDS: dict[str, tuple[Chunk, int]] = {
    # how, and every how many-th of the drawings: generating takes longest
    "round-trip": (_round_trip, 1),
    "spoiled": (_spoiled, 2),
    "faulty": (_faulty, 2),
    "repainted": (_repainted, 2),
    "generated": (_generated, 8),
}


def chosen(kind: str, split: int) -> list[int]:
    """Return which of `persons(split)` the pictures of a kind show, in their order."""
    return list(range(0, PERSONS[split] * SCENES, KINDS[kind][1]))


def pictures(kind: str, split: int) -> Pixels:
    """Return the pictures of a kind, made once."""
    file = RUNS / f"vlm-{kind}-{split}.pt"
    if file.exists():
        return np.asarray(torch.load(file)["pixels"].numpy())
    studio, pairs = Studio(), persons(split)
    numbers, make = chosen(kind, split), KINDS[kind][0]
    parts = []
    for chunk, start in enumerate(range(0, len(numbers), CHUNK)):
        parts.append(make(studio, [pairs[i] for i in numbers[start : start + CHUNK]], split, chunk))
        print(f"{file.stem} {start + len(parts[-1])}/{len(numbers)}", flush=True)
    made = np.concatenate(parts)
    save_checkpoint(file, pixels=torch.from_numpy(made))
    return made


def main() -> None:
    torch.set_num_threads(1)
    for split in (TRAINING, HELD_OUT):
        for kind in KINDS:
            print(kind, split, pictures(kind, split).shape, flush=True)


if __name__ == "__main__":
    main()
