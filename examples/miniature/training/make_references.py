"""Draw one person, "sks person": `train/` for the LoRAs, `references/` for the gate; and a stranger.

    python make_references.py      # a second

Every drawing has its caption next to it (`00.txt`), as LoRA trainers expect.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from common import MINIATURE, RUNS
from draw import BACKGROUNDS, SHIRTS, Identity, Scene, draw, sample_scene

SUBJECT = "sks person"

SKS_PERSON = Identity(
    skin=(240, 196, 160), hair_colour="red", hair_style="curly", hair_shade=1.0, hair_volume=3.6,
    hairline=6.0, eye_colour=(48, 136, 76), eye_spacing=5.8, eye_height=-0.6, eye_size=2.6, brow_height=4.8,
    brow_thickness=1.4, brow_tilt=-0.3, nose_length=4.6, nose_width=1.6, mouth_height=8.8, mouth_width=5.2,
    face_width=12.6, face_height=14.4, jaw=0.85, ear_size=2.6, blush=0.0, freckles=True,
)  # fmt: skip
STRANGER = Identity(
    skin=(120, 76, 52), hair_colour="grey", hair_style="bun", hair_shade=1.0, hair_volume=2.4, hairline=5.0,
    eye_colour=(72, 46, 26), eye_spacing=5.2, eye_height=-0.2, eye_size=2.2, brow_height=4.4,
    brow_thickness=1.0, brow_tilt=0.5, nose_length=4.0, nose_width=1.2, mouth_height=8.6, mouth_width=4.6,
    face_width=11.2, face_height=15.4, jaw=0.7, ear_size=2.2, blush=0.0, freckles=False,
)  # fmt: skip


def scenes(seed: int) -> list[Scene]:
    """Return scenes with shirts, backgrounds, glasses and smiles in even shares, different in each folder."""
    rng = np.random.default_rng(seed)
    chosen = [
        (shirt, background)
        for s, shirt in enumerate(SHIRTS)
        for b, background in enumerate(BACKGROUNDS)
        if (s + b + seed) % 2 == 0
    ]
    return [
        sample_scene(rng, shirt=shirt, background=background, glasses=i % 2 == 0, smile=i // 2 % 2 == 0)
        for i, (shirt, background) in enumerate(chosen)
    ]


def full_caption(scene: Scene) -> str:
    """Write a caption without the hair: it belongs to the person, so the trigger word has to learn it."""
    glasses = "wearing glasses" if scene.glasses else "without glasses"
    smile = "smiling" if scene.smile else "serious"
    return f"photo of a {SUBJECT} in a {scene.shirt} shirt, {glasses}, {smile}, {scene.background} background"


def write(folder: Path, identity: Identity, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, scene in enumerate(scenes(seed)):
        draw(identity, scene).save(folder / f"{index:02}.png")
        (folder / f"{index:02}.txt").write_text(full_caption(scene) + "\n")


def main() -> None:
    write(MINIATURE / "train", SKS_PERSON, seed=0)
    write(MINIATURE / "references", SKS_PERSON, seed=1)
    write(RUNS / "stranger", STRANGER, seed=2)  # for the LoRA with the wrong identity


if __name__ == "__main__":
    main()
