"""What a row tells about a training run: how like the subject it has become, or how free it still is."""

from __future__ import annotations

from typing import Literal

from lora_checks.record.ranking.entry import Row

Role = Literal["likeness", "freedom", ""]
LIKENESS = ("arcface", "arcface_centroid", "clip_i", "dino", "similarity", "lpips", "trunk_distance")
FREEDOM = (
    *("clip_score", "clip_s", "clip_choice"),
    *("vendi", "lpips_diversity", "nearest_other", "nearest_sibling", "recall", "coverage"),
    *("copy_ratio", "authenticity"),
)


def role(row: Row) -> Role:
    """ "likeness" to the references; "freedom" to do as the prompt says, to vary, and not to copy pictures.

    Whatever is compared with the training pictures tells of copying. "" is neither: quality, distance of
    distributions, missing faces, rows about prompts of one tag, and metrics of your own.
    """
    m = row.get("measurement")
    if m is None or m["stat"] == "missing" or m["on"]:
        return ""
    against = m["against"].partition(" (")[0]
    if against == "train" or m["metric"] in FREEDOM:
        return "freedom"
    return "likeness" if against == "references" and m["metric"] in LIKENESS else ""
