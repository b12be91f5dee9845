"""Names of what metrics measure, and of what images do, for people who do not know the metrics."""

from __future__ import annotations

from lora_checks.record.shapes.rows import Measurement

PLAIN = {
    "aesthetic": "how pleasing the pictures look",
    "arcface": "the likeness of the face",
    "arcface_centroid": "the likeness of the face",
    "brightness": "brightness",
    "clip_choice": "the share of images that show the wanted text",
    "clip_i": "the likeness to {others}",
    "clip_s": "the agreement with the prompt",
    "clip_score": "the agreement with the prompt",
    "clipped": "the share of pixels that are pure black or white",
    "cmmd": "the distance from {others} as a whole",
    "contrast": "contrast",
    "copy_ratio": "the distance from the nearest training picture, relative to the next one's",
    "coverage": "the share of {others} that have an image near them",
    "density": "how densely the images lie among {others}",
    "dino": "the likeness to {others}",
    "face_pitch": "the degrees by which faces look up",
    "face_pitch_spread": "how much faces look up and down, beside the references",
    "face_roll": "the degrees by which faces are tilted clockwise",
    "face_yaw": "the degrees by which faces turn to the right",
    "face_yaw_spread": "how much faces turn, beside the references",
    "faces": "the number of faces",
    "fid": "the distance from {others} as a whole",
    "fine_detail": "the fine detail beyond that of {others}, in dB,",
    "frechet_distance": "the distance from {others} as a whole",
    "grid": "the strength of a regular pattern, in dB,",
    "kid": "the distance from {others} as a whole",
    "lpips": "the difference from {others}",
    "lpips_diversity": "the difference between seeds of a prompt",
    "ms_ssim": "the likeness to {others}",
    "nearest_other": "the likeness of each image to the nearest other image",
    "nearest_sibling": "the likeness of each image to the other seeds of its prompt",
    "polynomial_mmd": "the distance from {others} as a whole",
    "precision": "the share of images that lie among {others}",
    "psnr": "the likeness to {others}, in dB,",
    "rbf_mmd": "the distance from {others} as a whole",
    "recall": "the share of {others} that lie among the images",
    "sface": "the likeness of the face",
    "sface_centroid": "the likeness of the face",
    "sharpness": "sharpness",
    "similarity": "the likeness to {others}",
    "spectrum_high": "the difference from {others} in fine detail, in dB,",
    "spectrum_low": "the difference from {others} in coarse shapes, in dB,",
    "spectrum_middle": "the difference from {others} in middling detail, in dB,",
    "ssim": "the likeness to {others}",
    "trunk_distance": "the difference from {others}",
    "trunk_frechet": "the distance from {others} as a whole",
    "unsafe": "the probability of being unsafe",
    "vendi": "the variety of the images",
}
OTHERS = {"references": "the references", "train": "the training pictures", "baseline": "the base's pictures"}
# Metrics that are 0 or 1 for each image: the value that counts against it, and what such an image does.
TWO_VALUED = {
    "authenticity": (0.0, "copy a training picture"),
    "clip_choice": (0.0, "show another text than the wanted one"),
    "flat": (1.0, "are black, white or plain"),
}
ALIKE = frozenset(
    {
        *("arcface", "arcface_centroid", "sface", "sface_centroid"),
        *("clip_i", "dino", "similarity", "ssim", "ms_ssim"),
    }
)
APART = frozenset({"lpips", "trunk_distance", "copy_ratio"})
COPIES = "copy a training picture"
# What an image does whose value is too low or too high; the limit itself follows in brackets.
LOW = {
    "aesthetic": "are not pleasing enough",
    "brightness": "are too dark",
    "clip_s": "follow the prompt too little",
    "clip_score": "follow the prompt too little",
    "contrast": "have too little contrast",
    "sharpness": "are not sharp enough",
}
HIGH = {
    "brightness": "are too bright",
    "clipped": "have too many pure black or white pixels",
    "contrast": "have too much contrast",
    "grid": "show a regular pattern",
    "unsafe": "are unsafe",
}


def name(m: Measurement) -> str:
    """Return "the likeness to the references (dino)"; the metric alone if it has no plainer name."""
    plain = PLAIN.get(m["metric"], "").format(others=others(m))
    plain, comma = plain.removesuffix(","), "," if plain.endswith(",") else ""
    return f"{plain} ({m['metric']}){comma}" if plain not in ("", m["metric"]) else m["metric"]


def does(m: Measurement, name: str, high: bool, bound: str) -> str:
    """Return what an image on the unwanted side of ``at`` does: "are too dark (brightness below 9)"."""
    if m["gain"]:
        return f"gain {bound} over the base in {name}"
    metric = m["metric"]
    said = (HIGH if high else LOW).get(metric, "")
    if metric in (ALIKE if high else APART):
        copied = folder(m) == "train" or metric == "copy_ratio"
        said = COPIES if copied else f"are too much like {others(m)}"
    elif metric in ALIKE | APART:
        said = f"are too unlike {others(m)}"
    return f"{said} ({metric} {bound})" if said else f"score {bound} on {name}"


def others(m: Measurement) -> str:
    return OTHERS.get(folder(m), folder(m) or "the others")


def folder(m: Measurement) -> str:
    """Return the folder that was compared with, without its number of pictures."""
    return m["against"].partition(" (")[0]
