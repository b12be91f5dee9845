"""Say what a row shows about training: how well a LoRA learned its subject, or how free it still is."""

from __future__ import annotations

from lora_checks.record.shapes import Row
from lora_checks.record.shapes.ranking import Role

LIKENESS = (
    *("arcface", "arcface_centroid", "sface", "sface_centroid", "clip_i", "dino", "similarity", "lpips"),
    "trunk_distance",
)
FREEDOM = (
    *("clip_score", "clip_s", "clip_choice"),
    *("vendi", "lpips_diversity", "nearest_other", "nearest_sibling", "recall", "coverage"),
    *("copy_ratio", "authenticity", "face_yaw_spread", "face_pitch_spread"),
)


def role(row: Row) -> Role:
    """Return the role of a row.

    "likeness" is likeness to the references. "freedom" is freedom to follow the prompt, to vary, and not to
    copy: each comparison with the training pictures measures copying. "" is neither: quality, distances
    between distributions, missing faces, rows about the prompts of one tag, and users' metrics.
    """
    m = row["measurement"]
    if m is None or m["stat"] == "missing" or m["on"]:
        return ""
    against = m["against"].partition(" (")[0]
    if against == "train" or m["metric"] in FREEDOM:
        return "freedom"
    return "likeness" if against == "references" and m["metric"] in LIKENESS else ""
