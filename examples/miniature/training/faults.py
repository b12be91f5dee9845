"""Draw pictures with faults: what a judge of this world must not call good.

Every fault says what it spoils; what it leaves open (is a smeared person a person?) is not asked about. A
fault that nobody could see at this size is none: it is drawn again until it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from augment import NOISE_KINDS, Image, blank_head, blur, drawing, jpeg, noise, to_uint8
from common import HELD_OUT, MINIATURE
from draw import (
    SIZE,
    Identity,
    Scene,
    draw_faceless,
    face_box,
    landmarks,
    sample_identity,
    sample_scene,
)
from PIL import Image as PILImage


@dataclass(frozen=True)
class Truth:
    """What is true of a picture; None is left open. `scene` and `identity` are of the person who is seen."""

    person: bool | None = True
    quality: bool | None = True
    limbs: bool | None = True
    artifacts: bool | None = True  # there are none
    identity: Identity | None = None
    scene: Scene | None = None


NOTHING = Truth(person=False, quality=False, limbs=False, artifacts=False)
"""Noise, or an empty picture: nothing is there that could be good."""


def plain(identity: Identity, scene: Scene) -> Truth:
    return Truth(identity=identity, scene=scene)


def faulty(
    identity: Identity, scene: Scene, rng: np.random.Generator, names: Sequence[str] = ()
) -> tuple[Image, Truth]:
    """Return a drawing with one fault, any of `names`, or of `FAULTS`."""
    names = names or sorted(FAULTS)
    return FAULTS[names[int(rng.integers(len(names)))]](identity, scene, rng)


def _shows(before: Image, after: Image) -> bool:
    """Say whether a change can be seen: a serious mouth is hardly there on dark skin, nor missed."""
    return int((np.abs(before.astype(int) - after).max(axis=2) > 32).sum()) >= 10


def _warped(image: Image, dx: Any, dy: Any) -> Image:
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    moved = cv2.remap(image, (x + dx).astype(np.float32), (y + dy).astype(np.float32), cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    return np.asarray(moved, dtype=np.uint8)


def melted(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    cells = int(rng.integers(3, 7))
    field = rng.normal(0, rng.uniform(3.5, 8), (cells, cells, 2))
    dx, dy = cv2.resize(field, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1)
    if rng.random() < 0.4:  # dripping downwards
        columns = np.abs(cv2.resize(rng.normal(0, 9, (1, 9)), (SIZE, 1), interpolation=cv2.INTER_CUBIC))
        dx, dy = 0 * dx, -columns * np.linspace(0.2, 1, SIZE)[:, None]
    image = _warped(drawing(identity, scene), dx, dy)
    return image, Truth(None, False, False, False)


def doubled(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    """Show two exposures at once."""
    other = replace(
        scene, dx=scene.dx + rng.choice((-1, 1)) * rng.uniform(4, 12), dy=scene.dy + rng.uniform(-4, 4)
    )
    weight = rng.uniform(0.35, 0.65)
    image = weight * drawing(identity, scene) + (1 - weight) * drawing(identity, other).astype(float)
    return to_uint8(image), Truth(None, False, False, False, None, scene)


def _patch(centre: tuple[float, float], half: tuple[int, int]) -> tuple[slice, slice]:
    x, y = round(centre[0]), round(centre[1])
    return slice(max(0, y - half[1]), min(SIZE, y + half[1] + 1)), slice(
        max(0, x - half[0]), min(SIZE, x + half[0] + 1)
    )


def extra_part(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    """Copy an eye, the mouth or the whole face to a place where it does not belong."""
    image, points = drawing(identity, scene).copy(), landmarks(identity, scene)
    part = int(rng.integers(3))
    centre, half = [(tuple(points[int(rng.integers(2))]), (4, 4)), ((points[3] + points[4]) / 2, (6, 3)),
                    (points[2], (9, 8))][part]  # fmt: skip
    for _ in range(int(rng.integers(1, 3))):
        source = image[_patch(centre, half)].copy()
        h, w = source.shape[:2]
        for _ in range(20):
            y, x = int(rng.integers(2, SIZE - h - 2)), int(rng.integers(2, SIZE - w - 2))
            apart = np.hypot(*(points - (x + w / 2, y + h / 2)).T).min() > 8
            if apart and _shows(image[y : y + h, x : x + w], source):
                break
        image[y : y + h, x : x + w] = source
    return image, Truth(True if part < 2 else None, None, False, None, identity, scene)


def missing_part(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    """Paint an eye or the mouth over with skin; without a mouth nobody can be seen to smile."""
    whole, points = drawing(identity, scene), landmarks(identity, scene)
    part = int(rng.integers(3))
    if part == 2:
        middle, axes = (points[3] + points[4]) / 2 + (0, 1), (2.4 * identity.mouth_width, 7.0)
        image = _painted_over(whole, middle, axes, identity)
        if _shows(whole, image):
            return image, Truth(True, None, False, None)
    image = _painted_over(whole, points[part % 2], (10.0, 9.0), identity)
    return image, Truth(True, None, False, None, None, scene)


def _painted_over(image: Image, centre: Any, axes: tuple[float, float], identity: Identity) -> Image:
    image = image.copy()
    cv2.ellipse(image, ((float(centre[0]), float(centre[1])), axes, 0.0), identity.skin, -1, cv2.LINE_AA)
    return image


def displaced(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    """Put eyes, nose and mouth in the wrong places of the head."""
    kind = int(rng.integers(5))
    if kind == 0:
        identity = replace(
            identity, eye_height=float(rng.uniform(5, 9)), mouth_height=float(rng.uniform(-3, 2))
        )
    elif kind == 1:
        scene = replace(scene, glasses=False)
        identity = replace(
            identity, eye_spacing=float(rng.choice((rng.uniform(0, 2.2), rng.uniform(9.5, 13))))
        )
    elif kind == 2:
        scene = replace(scene, glasses=False)
        identity = replace(
            identity, eye_size=float(rng.choice((rng.uniform(4.2, 6.0), rng.uniform(0.4, 0.9))))
        )
    elif kind == 3:
        identity = replace(
            identity, mouth_height=float(rng.uniform(12.5, 20)), nose_length=float(rng.uniform(9, 14))
        )
    else:
        squeeze = rng.uniform(0.35, 0.6)
        wide = rng.random() < 0.5
        identity = replace(
            identity,
            face_width=identity.face_width * (squeeze if not wide else 1.7),
            face_height=identity.face_height * (squeeze if wide else 1.2),
        )
    return drawing(identity, scene), Truth(True, True, False, None, None, scene)


def one_eye_moved(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    image, points = drawing(identity, scene).copy(), landmarks(identity, scene)
    eye = points[int(rng.integers(2))]
    source = image[_patch(tuple(eye), (4, 4))].copy()
    image = _painted_over(image, eye, (10.0, 9.0), identity)
    y, x = int(eye[1] + rng.choice((-1, 1)) * rng.uniform(6, 12)) - 4, int(eye[0] + rng.uniform(-5, 5)) - 4
    h, w = source.shape[:2]
    y, x = int(np.clip(y, 0, SIZE - h)), int(np.clip(x, 0, SIZE - w))
    image[y : y + h, x : x + w] = source
    return image, Truth(True, None, False, None, None, scene)


def two_heads(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    image = drawing(identity, scene).copy()
    x0, y0, x1, y1 = (round(v) for v in face_box(identity, scene))
    head = cv2.resize(
        image[max(0, y0) : y1, x0:x1], (int(rng.integers(12, 20)),) * 2, interpolation=cv2.INTER_AREA
    )
    h, w = head.shape[:2]
    y, x = (
        int(rng.integers(20, SIZE - h)),
        int(rng.choice((rng.integers(0, 6), rng.integers(SIZE - w - 6, SIZE - w)))),
    )
    mask = np.zeros((h, w), np.uint8)
    cv2.ellipse(mask, ((w / 2, h / 2), (w - 1.0, h - 1.0), 0.0), 1, -1)
    image[y : y + h, x : x + w][mask == 1] = head[mask == 1]
    return image, Truth(True, None, False, None, None, scene)


def cut(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    """Lose half of the head: out of the frame, or behind a bar."""
    image = drawing(identity, scene)
    if rng.random() < 0.5:
        shift = int(rng.choice((-1, 1)) * rng.integers(20, 30))
        moved = _warped(image, np.float32(shift), np.float32(0)) if rng.random() < 0.6 else _warped(
            image, np.float32(0), np.float32(abs(shift)))  # fmt: skip
        return moved, Truth(None, None, False, None)
    image, colour = image.copy(), rng.integers(0, 256, 3)
    x0, y0, x1, y1 = (round(v) for v in face_box(identity, scene))
    middle_x, middle_y = (x0 + x1) // 2, (y0 + y1) // 2
    place = [np.s_[:, :middle_x], np.s_[:, middle_x:], np.s_[:middle_y, :], np.s_[middle_y:y1, :]][
        int(rng.integers(4))
    ]
    image[place] = colour
    return image, Truth(None, False, False, False)


def torn(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    """Shift bands of rows or columns against each other; one of their edges goes through the face."""
    image = drawing(identity, scene)
    rows = rng.random() < 0.5
    image = image if rows else image.transpose(1, 0, 2)
    low, high = (round(v) for v in face_box(identity, scene)[int(rows) :: 2])
    through = rng.integers(low + 5, high - 4, 1)
    edges = np.sort(np.concatenate([through, rng.integers(8, SIZE - 8, int(rng.integers(1, 5)))]))
    bands = [np.roll(band, int(rng.choice((-1, 1)) * rng.integers(5, 20)), axis=1) if i % 2 else band
             for i, band in enumerate(np.split(image, edges))]  # fmt: skip
    image = np.concatenate(bands)
    image = image if rows else image.transpose(1, 0, 2)
    return np.ascontiguousarray(image), Truth(None, False, False, False)


def headless(_identity: Identity, _scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    """Show a shirt or loose shapes and nobody, or somebody without a face."""
    if rng.random() < 0.3:
        return blank_head(rng), Truth(None, None, False, None)
    return np.asarray(draw_faceless(rng), dtype=np.uint8), Truth(False, None, False, None)


def empty(_identity: Identity, _scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    level = rng.integers(0, 256, 3) if rng.random() < 0.5 else np.full(3, rng.integers(0, 256))
    return np.broadcast_to(level.astype(np.uint8), (SIZE, SIZE, 3)).copy(), NOTHING


def noisy(_identity: Identity, _scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    return noise(str(rng.choice(NOISE_KINDS)), rng), NOTHING


def smeared(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    image = drawing(identity, scene)
    if rng.random() < 0.5:
        sigma = rng.uniform(2.2, 5)
        return blur(image, sigma), Truth(None, False, None, None, None, scene if sigma < 2.8 else None)
    length = int(rng.integers(8, 16))
    kernel = np.eye(length) if rng.random() < 0.5 else np.eye(1, length, length // 2).T @ np.ones((1, length))
    moved = np.asarray(
        cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), dtype=np.uint8
    )
    return moved, Truth(None, False, None, None)


def _covered(scene: Scene, thin: bool) -> Truth:
    """Return the truth of a sound person under noise or stripes; thick ones leave the limbs open."""
    return Truth(True, False, True if thin else None, False, None, scene if thin else None)


def grained(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    image = drawing(identity, scene).astype(float)
    if rng.random() < 0.6:
        spread = rng.uniform(22, 70)
        image += rng.normal(0, spread, image.shape if rng.random() < 0.6 else (SIZE, SIZE, 1))
        return to_uint8(image), _covered(scene, thin=spread < 36)
    share = rng.uniform(0.06, 0.25)
    hit = rng.random((SIZE, SIZE)) < share
    image[hit] = rng.integers(0, 256, (int(hit.sum()), 3))
    return to_uint8(image), _covered(scene, thin=share < 0.1)


def blocky(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    image, kind = drawing(identity, scene), int(rng.integers(3))
    if kind == 0:
        level = int(rng.integers(2, 9))
        return jpeg(image, level), _covered(scene, thin=level > 6)
    if kind == 1:
        cells = int(rng.integers(12, 20))
        small = cv2.resize(image, (cells, cells), interpolation=cv2.INTER_AREA)
        image = np.asarray(cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
        return image, Truth(None, False, None, False)
    y, x = np.mgrid[:SIZE, :SIZE]
    period, angle = rng.uniform(2, 7), rng.uniform(0, np.pi)
    wave = np.sign(np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period))
    if rng.random() < 0.4:
        wave = np.where((x // 2 + y // 2) % 2 == 0, 1, -1)
    height = rng.uniform(18, 60)
    return to_uint8(image + height * wave[..., None]), _covered(scene, thin=height < 32)


def blotched(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    """Lay brush strokes of foreign colours over the picture."""
    image = drawing(identity, scene).copy()
    palette = rng.integers(0, 256, (6, 3))
    for _ in range(int(rng.integers(6, 40))):
        colour = [int(c) for c in palette[int(rng.integers(6))]]
        x, y, a, b = (float(v) for v in rng.uniform((0, 0, 3, 3), (SIZE, SIZE, 14, 10)))
        layer = image.copy()
        cv2.ellipse(layer, ((x, y), (a, b), float(rng.uniform(0, 180))), colour, -1, cv2.LINE_AA)
        weight = rng.uniform(0.5, 1)
        image = to_uint8(weight * layer + (1 - weight) * image.astype(float))
    return blur(image, rng.uniform(0, 1)), Truth(None, False, None, False)


def overcoloured(identity: Identity, scene: Scene, rng: np.random.Generator) -> tuple[Image, Truth]:
    """Push contrast and colours until they clip, or turn them into each other."""
    image = drawing(identity, scene).astype(float)
    if rng.random() < 0.4:
        return to_uint8(255 - image), Truth(None, False, None, False)
    grey = image.mean(axis=2, keepdims=True)
    image = (grey + rng.uniform(2.5, 5) * (image - grey) - 128) * rng.uniform(1.3, 2.2) + 128
    return to_uint8(image + rng.normal(0, 12, image.shape)), Truth(None, False, None, False)


Fault = Callable[[Identity, Scene, np.random.Generator], tuple[Image, Truth]]
FAULTS: dict[str, Fault] = {
    "melted": melted,
    "doubled": doubled,
    "extra part": extra_part,
    "missing part": missing_part,
    "displaced": displaced,
    "one eye moved": one_eye_moved,
    "two heads": two_heads,
    "cut": cut,
    "torn": torn,
    "headless": headless,
    "empty": empty,
    "noise": noisy,
    "smeared": smeared,
    "grained": grained,
    "blocky": blocky,
    "blotched": blotched,
    "overcoloured": overcoloured,
}


SMALL = ("extra part", "missing part", "displaced", "one eye moved", "two heads")
"""The faults of which most pixels know nothing: learned last."""

BAD = ("melted", "doubled", "torn")
"""The faults of the pictures that show a judge what bad limbs and artifacts are."""


def main() -> None:
    """Draw the folder `bad` of the policy `judged`: persons with spoiled limbs, and pictures to match."""
    rng = np.random.default_rng([HELD_OUT, 46])
    folder = MINIATURE / "judged" / "bad"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(8):
        image, _ = FAULTS[BAD[number % len(BAD)]](sample_identity(rng), sample_scene(rng), rng)
        PILImage.fromarray(image).save(folder / f"{number:02}.png", optimize=True)


if __name__ == "__main__":
    main()
