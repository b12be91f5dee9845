"""Compute the README's figures: what the base model draws, and how the ladder measures.

python evaluate.py base            # 64 prompts, fresh seeds, judged by the probes
python evaluate.py ladder          # identity, prompt, copying and image distribution of every LoRA
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import lpips
import numpy as np
import numpy.typing as npt
import open_clip
import torch
from common import CLIP_DIR, HELD_OUT, LORA_DIR, MINIATURE, PIPELINE_DIR, sample_pairs, to_tensor
from draw import BACKGROUNDS, SHIRTS, Identity, Scene, draw, hair_words
from generate import as_person, generate, load_pipeline, prompts
from insightface.app import FaceAnalysis
from labels import labels
from PIL import Image
from probes import load_probes
from train_faces import pack
from train_trunk import features, frechet, load_trunk

Array = npt.NDArray[np.float64]


def pixels(images: Sequence[Image.Image]) -> npt.NDArray[np.uint8]:
    return np.stack([np.asarray(image.convert("RGB")) for image in images])


def evaluate_base(pipeline_directory: Path, count: int = 64) -> None:
    rng = np.random.default_rng([HELD_OUT, 9])
    pairs = sample_pairs(rng, count)
    texts = [
        f"photo of a person in a {scene.shirt} shirt, {'wearing' if scene.glasses else 'without'} glasses, "
        f"{'smiling' if scene.smile else 'serious'}, {hair_words(identity)}, {scene.background} background"
        for identity, scene in pairs
    ]
    began = time.time()
    images = generate(load_pipeline(pipeline_directory), texts, [50_000 + i for i in range(count)])
    print(f"{count} images in {time.time() - began:.0f} s")
    report("generated", pixels(images), pairs)
    report("the same drawn", pixels([draw(*pair) for pair in pairs]), pairs)


def report(title: str, images: npt.NDArray[np.uint8], pairs: list[tuple[Identity, Scene]]) -> None:
    wanted = [labels(*pair) for pair in pairs]
    shares = []
    for name, predicted in load_probes().predict(images).items():
        truth = np.array([label[name] for label in wanted])
        asked = truth >= 0
        shares.append(f"{name} {np.mean(predicted[asked] == truth[asked]):.3f}")
    print(f"{title}: " + ", ".join(shares), flush=True)


@dataclass(frozen=True)
class Judges:
    """The evaluators of this world, loaded once."""

    faces: FaceAnalysis
    clip: open_clip.CLIP
    tokenizer: Callable[[list[str]], torch.Tensor]
    trunk: lpips.LPIPS

    def embeddings(self, images: Sequence[Image.Image]) -> Array:
        """Return (N, 512) unit vectors of the largest face; NaN if there is none."""
        rows = []
        for image in images:
            found = self.faces.get(np.asarray(image.convert("RGB"))[:, :, ::-1])
            largest = max(found, key=lambda f: np.prod(f.bbox[2:] - f.bbox[:2]), default=None)
            rows.append(np.full(512, np.nan) if largest is None else largest.normed_embedding)
        return np.stack(rows).astype(np.float64)

    @torch.no_grad()
    def clip_score(self, images: Sequence[Image.Image], texts: list[str]) -> Array:
        image = self.clip.encode_image(to_tensor(images), normalize=True)
        text = self.clip.encode_text(self.tokenizer(texts), normalize=True)
        scores: Array = (image * text).sum(1).double().numpy()
        return scores

    @torch.no_grad()
    def nearest(self, images: Sequence[Image.Image], others: Sequence[Image.Image]) -> Array:
        """Return the perceptual distance of each image to its nearest among `others`."""
        theirs = to_tensor(others)
        return np.array(
            [self.trunk(x[None].expand_as(theirs), theirs).min().item() for x in to_tensor(images)]
        )

    def features(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        return features(self.trunk, to_tensor(images)).numpy()


def judges() -> Judges:
    clip, _, _ = open_clip.create_model_and_transforms(f"local-dir:{CLIP_DIR}")
    return Judges(pack(), clip.eval(), open_clip.get_tokenizer(f"local-dir:{CLIP_DIR}"), load_trunk())


def evaluate_ladder(names: list[str], first_seeds: list[int]) -> None:
    judge = judges()
    texts = [prompt["text"] for prompt in prompts() for _ in range(2)]
    wanted = [prompt["tags"] for prompt in prompts() for _ in range(2)]
    drawn = {
        folder: [Image.open(f) for f in sorted((MINIATURE / folder).glob("*.png"))]
        for folder in ("train", "references")
    }
    reference_faces = judge.embeddings(drawn["references"])
    reference_features = judge.features(drawn["references"])
    print(
        "seeds | LoRA | identity | no face | CLIP | shirt | background | glasses | smile | nearest | Frechet"
    )
    for first in first_seeds:
        seeds = [first + i % 2 for i in range(len(texts))]
        for file in [None, *(LORA_DIR / f"{name}.safetensors" for name in names)]:
            said = texts if file else [as_person(text) for text in texts]
            images = generate(load_pipeline(lora=file), said, seeds)
            identity = (judge.embeddings(images) @ reference_faces.T).max(1)
            probed = adherence(pixels(images), wanted)
            name = file.relative_to(LORA_DIR).with_suffix("") if file else "base"
            print(
                f"{first} | {name} | {np.nanmean(identity):.3f} "
                f"| {int(np.isnan(identity).sum())} "
                f"| {judge.clip_score(images, [as_person(t) for t in texts]).mean():.3f} "
                f"| {' | '.join(f'{share:.2f}' for share in probed)} "
                f"| {judge.nearest(images, drawn['train']).mean():.4f} "
                f"| {frechet(judge.features(images), reference_features):.3f}",
                flush=True,
            )


def adherence(images: npt.NDArray[np.uint8], tags: list[list[str]]) -> list[float]:
    """Return the shares of images whose shirt, background, glasses and smile match the prompt's tags."""
    predicted = load_probes().predict(images)
    shirt = np.mean([SHIRTS[p] in tag for p, tag in zip(predicted["shirt"], tags, strict=True)])
    background = np.mean(
        [BACKGROUNDS[p] in tag for p, tag in zip(predicted["background"], tags, strict=True)]
    )
    flags = [
        np.mean([bool(p) == (name in tag) for p, tag in zip(predicted[name], tags, strict=True)])
        for name in ("glasses", "smile")
    ]
    return [float(shirt), float(background), *map(float, flags)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["base", "ladder"])
    parser.add_argument("names", nargs="*", help="LoRAs; all by default")
    parser.add_argument("--pipeline", type=Path, default=PIPELINE_DIR)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 101, 201])
    options = parser.parse_args()
    if options.what == "base":
        evaluate_base(options.pipeline)
    else:
        files = sorted(LORA_DIR.glob("*.safetensors")) + sorted(LORA_DIR.glob("run/*.safetensors"))
        names = [str(file.relative_to(LORA_DIR).with_suffix("")) for file in files]
        evaluate_ladder(options.names or names, options.seeds)


if __name__ == "__main__":
    main()
