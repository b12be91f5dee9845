"""Draw avatars from a few numbers: the whole "real world" of the miniature.

An `Identity` is a person (skin, hair, proportions), a `Scene` is one picture of that person (shirt,
background, glasses, smile, position). Same numbers, same pixels. Shapes are drawn four times too large and
box-reduced, which is all the antialiasing that 64x64 needs. Coordinates are pixels of the 64x64 picture,
y downwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

RGB = tuple[int, int, int]
Point = tuple[float, float]

SIZE = 64
OVERSAMPLING = 4

SHIRT_RGB: dict[str, RGB] = {
    "red": (205, 35, 40),
    "blue": (40, 75, 215),
    "green": (35, 155, 60),
    "yellow": (250, 215, 40),
    "purple": (125, 45, 175),
    "orange": (250, 125, 20),
    "white": (250, 250, 250),
    "black": (32, 32, 38),
}
BACKGROUND_RGB: dict[str, RGB] = {
    "grey": (158, 158, 164),
    "pink": (246, 182, 204),
    "mint": (174, 232, 190),
    "sky": (138, 208, 244),
    "cream": (244, 226, 176),
    "teal": (44, 128, 132),
}
HAIR_RGB: dict[str, RGB] = {
    "black": (30, 27, 32),
    "brown": (98, 58, 32),
    "blond": (240, 198, 92),
    "red": (188, 66, 26),
    "grey": (196, 196, 200),
    "blue": (56, 104, 226),
}
SKIN_RGB: tuple[RGB, ...] = (
    (255, 226, 206),
    (244, 205, 172),
    (226, 176, 134),
    (184, 128, 88),
    (138, 88, 58),
    (98, 60, 42),
)
EYE_RGB: tuple[RGB, ...] = ((72, 46, 26), (52, 104, 188), (48, 136, 76), (112, 112, 120), (28, 24, 26))

SHIRTS = tuple(SHIRT_RGB)
BACKGROUNDS = tuple(BACKGROUND_RGB)
HAIR_COLOURS = tuple(HAIR_RGB)
HAIR_STYLES = ("short", "long", "curly", "spiky", "mohawk", "bun", "bob", "bald")


@dataclass(frozen=True)
class Identity:
    """A person: everything that stays the same from picture to picture. Lengths are in pixels at scale 1."""

    skin: RGB
    hair_colour: str
    hair_style: str
    hair_shade: float
    hair_volume: float
    hairline: float
    eye_colour: RGB
    eye_spacing: float
    eye_height: float
    eye_size: float
    brow_height: float
    brow_thickness: float
    brow_tilt: float
    nose_length: float
    nose_width: float
    mouth_height: float
    mouth_width: float
    face_width: float
    face_height: float
    jaw: float
    ear_size: float
    blush: float
    freckles: bool


@dataclass(frozen=True)
class Scene:
    """One picture of a person: what a prompt can ask for, and where the camera stood."""

    shirt: str
    background: str
    glasses: bool
    smile: bool
    dx: float
    dy: float
    scale: float
    shirt_shade: float
    background_shade: float


def sample_identity(rng: np.random.Generator) -> Identity:
    """Draw the numbers of a person who has in all likelihood never been drawn before."""
    u = rng.uniform
    return Identity(
        skin=_between(rng, SKIN_RGB),
        hair_colour=str(rng.choice(HAIR_COLOURS)),
        hair_style=str(rng.choice(HAIR_STYLES)),
        hair_shade=u(0.9, 1.1),
        hair_volume=u(2.0, 4.0),
        hairline=u(4.0, 7.5),
        eye_colour=EYE_RGB[int(rng.integers(len(EYE_RGB)))],
        eye_spacing=u(4.9, 6.7),
        eye_height=u(-1.6, 0.8),
        eye_size=u(2.0, 2.8),
        brow_height=u(4.0, 5.4),
        brow_thickness=u(0.8, 1.7),
        brow_tilt=u(-0.9, 0.9),
        nose_length=u(3.2, 6.0),
        nose_width=u(1.0, 2.2),
        mouth_height=u(7.8, 9.4),
        mouth_width=u(4.2, 5.8),
        face_width=u(10.6, 14.2),
        face_height=u(13.4, 15.8),
        jaw=u(0.62, 0.98),
        ear_size=u(2.0, 3.4),
        blush=float(rng.random() < 0.4) * u(0.3, 0.8),
        freckles=bool(rng.random() < 0.25),
    )


def sample_scene(rng: np.random.Generator, **fixed: Any) -> Scene:
    """Draw the numbers of a random picture; `fixed` pins fields by name."""
    u = rng.uniform
    sampled: dict[str, Any] = {
        "shirt": str(rng.choice(SHIRTS)),
        "background": str(rng.choice(BACKGROUNDS)),
        "glasses": bool(rng.random() < 0.5),
        "smile": bool(rng.random() < 0.5),
        "dx": u(-2.5, 2.5),
        "dy": u(-1.5, 2.0),
        "scale": u(0.93, 1.07),
        "shirt_shade": u(0.95, 1.05),
        "background_shade": u(0.96, 1.04),
    }
    return Scene(**(sampled | fixed))


def draw(identity: Identity, scene: Scene) -> Image.Image:
    """Return the picture, RGB, 64x64."""
    canvas = _Canvas(_shade(BACKGROUND_RGB[scene.background], scene.background_shade), _Camera(scene))
    hair = _shade(HAIR_RGB[identity.hair_colour], identity.hair_shade)
    _hair_behind(canvas, identity, hair)
    _body(canvas, identity, _shade(SHIRT_RGB[scene.shirt], scene.shirt_shade))
    _head(canvas, identity)
    _hair_in_front(canvas, identity, hair)
    _eyes(canvas, identity, hair)
    _nose(canvas, identity)
    _mouth(canvas, identity, scene.smile)
    if scene.glasses:
        _glasses(canvas, identity)
    return canvas.reduced()


def draw_faceless(rng: np.random.Generator) -> Image.Image:
    """Draw a picture without a face: a bare background, a shirt without a head, or loose shapes."""
    scene = sample_scene(rng)
    canvas = _Canvas(_shade(BACKGROUND_RGB[scene.background], scene.background_shade), _Camera(scene))
    kind = int(rng.integers(4))
    if kind == 1:
        _shirt(canvas, _shade(SHIRT_RGB[scene.shirt], scene.shirt_shade))
    if kind >= 2:
        for _ in range(int(rng.integers(1, 9))):
            _loose_shape(canvas, rng)
    return canvas.reduced()


def caption(identity: Identity, scene: Scene, rng: np.random.Generator, subject: str = "person") -> str:
    """Write a labeller's caption; attributes are left out at random so that short prompts work too."""

    def said(probability: float) -> bool:
        return bool(rng.random() < probability)

    opening = str(rng.choice(("photo", "photo", "picture", "portrait"))) + f" of a {subject}"
    shirt = f" in a {scene.shirt} shirt" if said(0.9) else ""
    details = []
    if said(0.9 if scene.glasses else 0.4):
        details.append("wearing glasses" if scene.glasses else "without glasses")
    if said(0.9 if scene.smile else 0.5):
        details.append("smiling" if scene.smile else "serious")
    if said(0.75):
        details.append(hair_words(identity))
    if said(0.85):
        details.append(f"{scene.background} background")
    order = rng.permutation(len(details)) if said(0.5) else range(len(details))
    return ", ".join([opening + shirt, *(details[int(i)] for i in order)])


def hair_words(identity: Identity) -> str:
    if identity.hair_style == "bald":
        return "bald"
    words = {"mohawk": "{} mohawk", "bun": "{} hair in a bun", "bob": "{} bob"}
    return words.get(identity.hair_style, identity.hair_style + " {} hair").format(identity.hair_colour)


def face_box(identity: Identity, scene: Scene) -> tuple[float, float, float, float]:
    """Return (x0, y0, x1, y1) of the face from forehead to chin, without hair and ears."""
    camera = _Camera(scene)
    x0, y0 = camera(-identity.face_width, -identity.face_height)
    x1, y1 = camera(identity.face_width, identity.face_height)
    return x0, y0, x1, y1


def landmarks(identity: Identity, scene: Scene) -> np.ndarray:
    """Return (5, 2): left eye, right eye, nose, left and right mouth corner; "left" as in the picture."""
    eye_y, mouth = identity.eye_height, _mouth_half_width(identity, scene.smile)
    points = [
        (-identity.eye_spacing, eye_y),
        (identity.eye_spacing, eye_y),
        (0.0, eye_y + identity.nose_length),
        (-mouth, identity.mouth_height),
        (mouth, identity.mouth_height),
    ]
    camera = _Camera(scene)
    return np.array([camera(x, y) for x, y in points], dtype=np.float64)


class _Camera:
    """Map coordinates around the middle of the head to the 64x64 picture."""

    HEAD = (32.0, 30.0)

    def __init__(self, scene: Scene) -> None:
        self.scale = scene.scale
        self.x = self.HEAD[0] + scene.dx
        self.y = self.HEAD[1] + scene.dy

    def __call__(self, x: float, y: float) -> Point:
        return self.x + x * self.scale, self.y + y * self.scale


class _Canvas:
    """An oversampled picture that is drawn on in head coordinates."""

    def __init__(self, background: RGB, camera: _Camera) -> None:
        self.image = Image.new("RGB", (SIZE * OVERSAMPLING, SIZE * OVERSAMPLING), background)
        self._draw = ImageDraw.Draw(self.image)
        self._camera = camera

    def _pixels(self, points: Iterable[Point]) -> list[Point]:
        return [(x * OVERSAMPLING, y * OVERSAMPLING) for x, y in (self._camera(*p) for p in points)]

    def _length(self, length: float) -> int:
        return max(1, round(length * self._camera.scale * OVERSAMPLING))

    def polygon(self, points: Iterable[Point], fill: RGB) -> None:
        self._draw.polygon(self._pixels(points), fill=fill)

    def ellipse(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        fill: RGB | None,
        line: RGB | None = None,
        width: float = 0.0,
    ) -> None:
        box = self._pixels([(x - rx, y - ry), (x + rx, y + ry)])
        self._draw.ellipse(box, fill=fill, outline=line, width=self._length(width) if line else 0)

    def line(self, points: Iterable[Point], fill: RGB, width: float) -> None:
        self._draw.line(self._pixels(points), fill=fill, width=self._length(width), joint="curve")

    def half_disc(self, x: float, y: float, rx: float, ry: float, fill: RGB) -> None:
        """Draw the lower half of an ellipse."""
        self._draw.pieslice(self._pixels([(x - rx, y - ry), (x + rx, y + ry)]), 0, 180, fill=fill)

    def reduced(self) -> Image.Image:
        return self.image.reduce(OVERSAMPLING)


def _body(canvas: _Canvas, identity: Identity, shirt: RGB) -> None:
    _shirt(canvas, shirt)
    neck = _shade(identity.skin, 0.86)
    canvas.polygon([(-4.6, 10), (4.6, 10), (4.6, 20), (-4.6, 20)], neck)
    canvas.ellipse(0, 20, 4.6, 2.6, neck)


def _shirt(canvas: _Canvas, shirt: RGB) -> None:
    canvas.ellipse(0, 39, 25, 20.5, shirt)


def _outline(width: float, height: float, jaw: float) -> list[Point]:
    """Outline a head: an ellipse whose lower half is a box for `jaw` near 1, a chin for small `jaw`."""
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    cos, sin = np.cos(angles), np.sin(angles)
    squareness = np.where(sin > 0, 1.25 - 0.5 * jaw, 0.95)
    x = width * np.sign(cos) * np.abs(cos) ** squareness
    y = height * np.sign(sin) * np.abs(sin) ** 0.95
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _head(canvas: _Canvas, identity: Identity) -> None:
    ear = _shade(identity.skin, 0.9)
    for side in (-1, 1):
        canvas.ellipse(side * identity.face_width, 0.8, identity.ear_size * 0.7, identity.ear_size, ear)
    canvas.polygon(_outline(identity.face_width, identity.face_height, identity.jaw), identity.skin)
    cheek_y = identity.eye_height + 5.2
    for side in (-1, 1):
        if identity.blush:
            rosy = _mix(identity.skin, (240, 90, 100), 0.45 * identity.blush)
            canvas.ellipse(side * identity.face_width * 0.62, cheek_y, 2.4, 1.7, rosy)
        if identity.freckles:
            for x, y in ((0.46, -0.6), (0.6, 0.5), (0.74, -0.7)):
                canvas.ellipse(
                    side * identity.face_width * x, cheek_y + y, 0.5, 0.5, _shade(identity.skin, 0.66)
                )


def _hair_behind(canvas: _Canvas, identity: Identity, hair: RGB) -> None:
    w, h, v = identity.face_width, identity.face_height, identity.hair_volume
    dark = _shade(hair, 0.82)
    if identity.hair_style in ("long", "bob"):
        bottom = 23.0 if identity.hair_style == "long" else 11.0
        canvas.ellipse(0, -1, w + v, h + v - 1, dark)
        canvas.polygon([(-w - v, -1), (w + v, -1), (w + v + 0.8, bottom), (-w - v - 0.8, bottom)], dark)
    if identity.hair_style == "bun":
        canvas.ellipse(0, -h - v - 2.2, 5.4, 4.8, dark)
    if identity.hair_style == "mohawk":
        canvas.polygon(
            [(-3.2, -h + 6), (-4.2, -h - 2.5 * v), (0, -h - 3.2 * v), (4.2, -h - 2.5 * v), (3.2, -h + 6)],
            hair,
        )
    if identity.hair_style == "spiky":
        for angle in np.linspace(-75, 75, 7):
            canvas.polygon(_spike(float(np.deg2rad(angle)), w, h, v), hair)
    if identity.hair_style == "curly":
        for angle in np.linspace(-128, 128, 13):
            x, y = float(np.sin(np.deg2rad(angle))), -float(np.cos(np.deg2rad(angle)))
            canvas.ellipse(x * (w + 0.4 * v), y * (h + 0.2 * v) - 1, 2.6 + 0.45 * v, 2.6 + 0.45 * v, hair)


def _spike(angle: float, w: float, h: float, v: float) -> list[Point]:
    def at(a: float, out: float) -> Point:
        return float(np.sin(a)) * (w + out), -float(np.cos(a)) * (h + out)

    return [at(angle - 0.3, -3.0), at(angle, 2.2 * v), at(angle + 0.3, -3.0)]


def _hair_in_front(canvas: _Canvas, identity: Identity, hair: RGB) -> None:
    w, h, v = identity.face_width, identity.face_height, identity.hair_volume
    if identity.hair_style == "bald":
        return
    if identity.hair_style == "mohawk":
        canvas.polygon([(-3.2, -h - 2), (3.2, -h - 2), (2.2, -h + 5.5), (-2.2, -h + 5.5)], hair)
        return
    cover = 0.6 * v if identity.hair_style in ("long", "bob", "short") else 0.3 * v
    sides = {"long": 7.0, "bob": 7.0, "short": 0.5, "curly": 1.0, "spiky": -2.0, "bun": -2.0}[
        identity.hair_style
    ]
    canvas.polygon(_cap(w + cover, h + cover, -h + identity.hairline, sides, w - 1.6), hair)
    if identity.hair_style == "curly":
        for x in np.linspace(-0.72, 0.72, 5) * w:
            canvas.ellipse(float(x), -h + identity.hairline - 0.6, 2.4, 2.1, hair)


def _cap(w: float, h: float, hairline: float, sides: float, inner: float) -> list[Point]:
    """Outline hair over the head, down to `sides` at the temples and to `hairline` in the middle."""
    angles = np.linspace(np.pi, 2 * np.pi, 40)
    outer = [(float(w * np.cos(a)), float(h * np.sin(a))) for a in angles]
    fringe = [(float(t * inner), hairline + 2.6 * float(t) ** 4) for t in np.linspace(1, -1, 21)]
    return [*outer, (w - 0.4, sides), (inner, sides), *fringe, (-inner, sides), (-w + 0.4, sides)]


def _eyes(canvas: _Canvas, identity: Identity, hair: RGB) -> None:
    r, y = identity.eye_size, identity.eye_height
    brow = _shade(hair, 0.7) if identity.hair_style != "bald" else _shade(identity.skin, 0.45)
    for side in (-1, 1):
        x = side * identity.eye_spacing
        canvas.ellipse(x, y, r * 1.15, r, (252, 252, 252))
        canvas.ellipse(x, y, r * 0.72, r * 0.72, identity.eye_colour)
        canvas.ellipse(x, y, r * 0.36, r * 0.36, (12, 12, 14))
        brow_y, tilt = y - identity.brow_height, identity.brow_tilt
        canvas.line(
            [(x - side * 2.4, brow_y - tilt), (x + side * 2.6, brow_y + tilt)], brow, identity.brow_thickness
        )


def _nose(canvas: _Canvas, identity: Identity) -> None:
    shade, tip = _shade(identity.skin, 0.74), identity.eye_height + identity.nose_length
    w = identity.nose_width
    canvas.line([(0.2, tip - 2.6), (w * 0.6, tip), (-w, tip + 0.4)], shade, 0.9)


def _mouth_half_width(identity: Identity, smile: bool) -> float:
    return identity.mouth_width if smile else identity.mouth_width * 0.55


def _mouth(canvas: _Canvas, identity: Identity, smile: bool) -> None:
    w, y = _mouth_half_width(identity, smile), identity.mouth_height
    if smile:
        canvas.half_disc(0, y - 0.8, w, 4.4, (140, 22, 34))
        canvas.half_disc(0, y - 0.6, w * 0.86, 2.9, (255, 255, 255))
    else:
        canvas.ellipse(0, y + 0.4, w, 0.85, _mix(identity.skin, (150, 40, 50), 0.72))


def _glasses(canvas: _Canvas, identity: Identity) -> None:
    frame, y = (20, 20, 24), identity.eye_height + 0.3
    x, r = identity.eye_spacing, min(identity.eye_spacing - 0.7, 4.9)
    for side in (-1, 1):
        canvas.ellipse(side * x, y, r, r, None, line=frame, width=1.15)
        canvas.line([(side * (x + r - 0.4), y - 0.6), (side * identity.face_width, y - 1.4)], frame, 1.0)
    canvas.line([(-x + r - 0.4, y - 0.8), (x - r + 0.4, y - 0.8)], frame, 1.1)


def _loose_shape(canvas: _Canvas, rng: np.random.Generator) -> None:
    palette = (*SHIRT_RGB.values(), *HAIR_RGB.values(), *SKIN_RGB)
    fill = palette[int(rng.integers(len(palette)))]
    x, y, rx, ry = (float(v) for v in rng.uniform((-30, -28, 2, 2), (30, 32, 18, 18)))
    if rng.random() < 0.5:
        canvas.ellipse(x, y, rx, ry, fill)
    else:
        canvas.polygon([(x + float(dx), y + float(dy)) for dx, dy in rng.uniform(-rx, rx, (4, 2))], fill)


def _shade(colour: RGB, factor: float) -> RGB:
    r, g, b = (min(255, round(c * factor)) for c in colour)
    return r, g, b


def _mix(a: RGB, b: RGB, weight: float) -> RGB:
    r, g, b_ = (round(x + (y - x) * weight) for x, y in zip(a, b, strict=True))
    return r, g, b_


def _between(rng: np.random.Generator, palette: tuple[RGB, ...]) -> RGB:
    """Return a random colour on the path through the palette."""
    position = rng.uniform(0, len(palette) - 1)
    left = int(position)
    return _mix(palette[left], palette[left + 1], position - left)
