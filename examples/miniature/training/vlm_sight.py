"""Teach a vision tower to see by asking it, through linear heads, for all that can be known of a picture."""

# mypy: disable-error-code="no-untyped-call"
# (transformers types few of its constructors)

from __future__ import annotations

import numpy as np
import torch
from draw import BACKGROUNDS, EYE_RGB, HAIR_COLOURS, HAIR_STYLES, SHIRTS, Identity
from faults import Truth
from labels import labels
from torch import Tensor, nn
from torch.nn import functional
from vlm_batches import IGNORED
from vlm_model import PATCHES
from vlm_samples import Sample

CLASSES = {
    "shirt": len(SHIRTS),
    "background": len(BACKGROUNDS),
    "glasses": 2,
    "smile": 2,
    "hair_colour": len(HAIR_COLOURS),
    "hair_style": len(HAIR_STYLES),
    "eyes": len(EYE_RGB),
    "freckles": 2,
    **dict.fromkeys(("person", "quality", "limbs", "artifacts"), 2),
}
MEASURES = {  # of an identity: mean and spread
    "hair_volume": (3.0, 0.6),
    "hairline": (5.8, 1.0),
    "eye_spacing": (5.8, 0.5),
    "eye_height": (-0.4, 0.7),
    "eye_size": (2.4, 0.23),
    "brow_height": (4.7, 0.4),
    "brow_tilt": (0.0, 0.5),
    "nose_length": (4.6, 0.8),
    "mouth_height": (8.6, 0.46),
    "face_width": (12.4, 1.0),
    "face_height": (14.6, 0.7),
    "jaw": (0.8, 0.1),
    "blush": (0.22, 0.3),
}


def to_tensor(samples: list[Sample]) -> Tensor:
    pixels = torch.from_numpy(np.stack([image for image, _ in samples]))
    return pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


class Sight(nn.Module):
    """Linear heads on the vision tower, for everything that can be known of a picture.

    They read all patches side by side: from their mean a small thing such as an eye is learned slowly. A
    second set reads the mean, so that what concerns the whole picture gets into its patches, too.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        outputs = sum(CLASSES.values()) + 3 + len(MEASURES)
        self.heads = nn.ModuleList([nn.Linear(PATCHES * width, outputs), nn.Linear(2 * width, outputs)])

    def forward(self, patches: Tensor) -> list[tuple[dict[str, Tensor], Tensor]]:
        """Return, for each set of heads, logits by name and measures, of what `look` returns."""
        patches = self.norm(patches)
        read = [patches.flatten(1), torch.cat([patches.mean(dim=1), patches.amax(dim=1)], dim=1)]
        sizes = [*CLASSES.values(), 3 + len(MEASURES)]
        parts = [head(x).float().split(sizes, dim=1) for head, x in zip(self.heads, read, strict=True)]
        return [(dict(zip(CLASSES, logits, strict=False)), logits[-1]) for logits in parts]


HINTS = ("skin", "hair_colour", "hair_style", "eye_colour")
HAIR = {"hair_colour": HAIR_COLOURS, "hair_style": HAIR_STYLES}
SEEN = sum(map(len, HAIR.values())) + 1  # of one person: hair, and how light the skin is


def hints(one: Identity, other: Identity) -> tuple[float, ...]:
    """Return what each of two persons looks like, `SEEN` numbers, and what they have in common, 1 or 0."""
    skin = max(abs(a - b) for a, b in zip(one.skin, other.skin, strict=True)) < 20
    alike = (float(skin), *(float(getattr(one, name) == getattr(other, name)) for name in HINTS[1:]))
    return (*_seen(one), *_seen(other), *alike)


def _seen(person: Identity) -> tuple[float, ...]:
    hair = [float(getattr(person, name) == value) for name, values in HAIR.items() for value in values]
    return (*hair, float(np.mean(person.skin) > 170))


def class_numbers(truth: Truth) -> dict[str, int]:
    found = dict.fromkeys(CLASSES, IGNORED)
    for name in ("person", "quality", "limbs", "artifacts"):
        if getattr(truth, name) is not None:
            found[name] = int(getattr(truth, name))
    if truth.scene is not None:
        scene = truth.scene
        found |= {"shirt": SHIRTS.index(scene.shirt), "background": BACKGROUNDS.index(scene.background)}
        found |= {"glasses": int(scene.glasses), "smile": int(scene.smile)}
        if truth.identity is not None:
            known = labels(truth.identity, scene)
            found |= {name: known[name] for name in ("hair_colour", "hair_style")}
            found |= {
                "eyes": EYE_RGB.index(truth.identity.eye_colour),
                "freckles": int(truth.identity.freckles),
            }
    return found


def measured(identity: Identity | None) -> list[float]:
    if identity is None:
        return [float("nan")] * (3 + len(MEASURES))
    skin = [(channel - 150) / 50 for channel in identity.skin]
    return skin + [(getattr(identity, name) - mean) / spread for name, (mean, spread) in MEASURES.items()]


def sight_loss(sight: Sight, patches: Tensor, truths: list[Truth]) -> Tensor:
    """Return the mean loss over all heads of what is known of each picture."""
    wanted = [class_numbers(truth) for truth in truths]
    measures = torch.tensor([measured(truth.identity) for truth in truths])
    known = measures.isfinite()
    losses = []
    for logits, guessed in sight(patches):
        for name, scores in logits.items():
            target = torch.tensor([each[name] for each in wanted])
            if (target != IGNORED).any():
                losses.append(functional.cross_entropy(scores, target, ignore_index=IGNORED))
        losses.append(3 * functional.smooth_l1_loss(guessed[known], measures[known]))
    return torch.stack(losses).sum()
