"""Degrade pictures as a VAE and a sampler do, which the evaluators must tolerate, and make faceless ones."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from draw import SIZE, Identity, Scene, draw, draw_faceless, face_box, sample_identity, sample_scene

Image = npt.NDArray[np.uint8]  # (64, 64, 3), RGB
NOISE_KINDS = ("gaussian", "uniform", "blobs", "texture")


def drawing(identity: Identity, scene: Scene) -> Image:
    return np.asarray(draw(identity, scene), dtype=np.uint8)


def to_uint8(image: npt.NDArray[np.floating]) -> Image:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def blur(image: Image, sigma: float) -> Image:
    return image if sigma < 0.1 else np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)


def jpeg(image: Image, quality: int) -> Image:
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], dtype=np.uint8)


def degrade(image: Image, rng: np.random.Generator, strength: float = 1.0) -> Image:
    """Apply some of blur, block artefacts, colour shift and grain, as a VAE round trip does."""
    if rng.random() < 0.5:
        image = blur(image, rng.uniform(0.2, 1.0) * strength)
    if rng.random() < 0.4:
        image = jpeg(image, int(rng.integers(40, 95)))
    gain = 1 + rng.normal(0, 0.03 * strength, 3)
    shift = rng.normal(0, 4 * strength, 3)
    grain = rng.normal(0, rng.uniform(0, 6) * strength, image.shape) if rng.random() < 0.5 else 0.0
    return to_uint8(image * gain + shift + grain)


def noise(kind: str, rng: np.random.Generator) -> Image:
    """Make a picture of nothing; "texture" is what an overcooked LoRA paints: clouds with grain and edges."""
    if kind == "gaussian":
        return to_uint8(rng.normal(rng.uniform(60, 200), rng.uniform(15, 80), (SIZE, SIZE, 3)))
    if kind == "uniform":
        return rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    cells = int(rng.integers(2, 24))
    field = cv2.resize(rng.normal(0, 1, (cells, cells, 3)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    image = rng.uniform(40, 215, 3) + rng.uniform(20, 80) * field
    if kind == "texture":
        image = rng.uniform(40, 215, 3) + rng.uniform(40, 90) * np.tanh(rng.uniform(1, 4) * field)
        image = image + rng.normal(0, rng.uniform(5, 40), image.shape)
    return blur(to_uint8(image), rng.uniform(0, 2))


def blank_head(rng: np.random.Generator) -> Image:
    """Draw a person whose features are painted over, to fool a detector that only looks for skin."""
    identity, scene = sample_identity(rng), sample_scene(rng)
    image = drawing(identity, scene).copy()
    x0, y0, x1, y1 = face_box(identity, scene)
    centre, half = ((x0 + x1) / 2, (y0 + y1) / 2 + 2), ((x1 - x0) * 0.46, (y1 - y0) * 0.46)
    cv2.ellipse(image, (centre, (2 * half[0], 2 * half[1]), 0.0), identity.skin, -1, cv2.LINE_AA)
    return image


def faceless(rng: np.random.Generator) -> Image:
    """Make a negative for the detector: a drawing without a face, a person without features, or noise."""
    kind = rng.random()
    if kind < 0.4:
        return degrade(np.asarray(draw_faceless(rng), dtype=np.uint8), rng)
    if kind < 0.6:
        return degrade(blank_head(rng), rng)
    return noise(str(rng.choice(NOISE_KINDS)), rng)
