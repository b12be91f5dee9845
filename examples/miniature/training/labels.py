"""Label a drawing with class numbers: the targets of the probes and of the perceptual trunk."""

from __future__ import annotations

from draw import BACKGROUNDS, HAIR_COLOURS, HAIR_STYLES, SHIRTS, Identity, Scene

NOT_VISIBLE = -100  # cross_entropy's ignore_index

NAMES: dict[str, tuple[str, ...]] = {
    "shirt": SHIRTS,
    "glasses": ("without glasses", "wearing glasses"),
    "smile": ("serious", "smiling"),
    "background": BACKGROUNDS,
    "hair_colour": HAIR_COLOURS,
    "hair_style": HAIR_STYLES,
}


def labels(identity: Identity, scene: Scene) -> dict[str, int]:
    bald = identity.hair_style == "bald"
    return {
        "shirt": SHIRTS.index(scene.shirt),
        "glasses": int(scene.glasses),
        "smile": int(scene.smile),
        "background": BACKGROUNDS.index(scene.background),
        "hair_colour": NOT_VISIBLE if bald else HAIR_COLOURS.index(identity.hair_colour),
        "hair_style": HAIR_STYLES.index(identity.hair_style),
    }
