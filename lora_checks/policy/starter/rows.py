"""Define the rows of a first policy, by kind of LoRA.

The limits are published rules of thumb or a convention, never a measurement of the user's subject; the policy
that is written says so. Each mean has a row on its bad tail, because a mean hides a few failures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HELD_OUT, TRAINED = "references", "train"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a first policy."""

    name: str
    fields: str  # YAML inside the braces, without `why`
    why: str
    network: str = ""  # slot under `networks:` that it needs
    folder: str = ""  # HELD_OUT or TRAINED: pictures that it compares with
    least: int = 1  # pictures that the folder needs for the row to mean something


@dataclass(frozen=True, slots=True)
class Kind:
    """What the LoRA is of."""

    title: str
    class_words: str  # an example
    class_help: str
    networks: Mapping[str, str]  # slot -> YAML
    rows: tuple[Row, ...]


_CLIP = {"clip": "{model: ViT-L-14-quickgelu, pretrained: openai}"}
_DINO = {"dino": "{model: facebook/dino-vits16}"}
_ADHERENCE = (
    Row(
        "prompt-adherence",
        "metric: clip_score, min: 0.2, rule: bound",
        "it shows what the prompt asks for",
        "clip",
    ),
    Row(
        "prompts-ignored",
        "metric: clip_score, stat: {share_at_most: 0.15}, max: 0.2, rule: bound",
        "no prompt is ignored",
        "clip",
    ),
)
_NO_COPY = Row(
    "not-a-copy",
    "metric: copy_ratio, network: dino, against: train, stat: {share_at_most: 0.5}, max: 0.1, rule: bound",
    "two photos of one subject are further apart than a picture and its copy",
    "dino",
    TRAINED,
    5,
)
_SOUND = Row("sound", "metric: flat, max: 0.12, rule: bound", "no image is a plain colour")
_SUBJECT = (
    Row(
        "subject",
        "metric: dino, min: 0.5, rule: bound",
        "the subject fidelity of DreamBooth",
        "dino",
        HELD_OUT,
        5,
    ),
    Row(
        "lost",
        "metric: dino, stat: {share_at_most: 0.35}, max: 0.2, rule: bound",
        "no scene shows something else",
        "dino",
        HELD_OUT,
        5,
    ),
    Row(
        "gained",
        "metric: dino, gain: true, min: 0.05, rule: bound",
        "nearer to the references than the base is",
        "dino",
        HELD_OUT,
        5,
    ),
    *_ADHERENCE,
    _NO_COPY,
    Row(
        "reach",
        "metric: coverage, network: dino, min: 0.4",
        "most sides of the subject are reached",
        "dino",
        HELD_OUT,
        30,
    ),
    _SOUND,
)
_PERSON = (
    Row(
        "identity",
        "metric: arcface, min: 0.5, max_missing: 0.1, rule: bound",
        "the nearest held-out photo is alike",
        "arcface",
        HELD_OUT,
        3,
    ),
    Row(
        "strangers",
        "metric: arcface, stat: {share_at_most: 0.3}, max_missing: 0.1, max: 0.2, rule: bound",
        "no prompt shows somebody else",
        "arcface",
        HELD_OUT,
        3,
    ),
    Row(
        "identity-centre",
        "metric: arcface_centroid, min: 0.45, max_missing: 0.1, rule: bound",
        "no single photo can raise it",
        "arcface",
        HELD_OUT,
        10,
    ),
    Row(
        "face-found",
        "metric: arcface, stat: missing, max: 0.2, rule: bound",
        "every prompt asks for a face",
        "arcface",
        HELD_OUT,
    ),
    *_ADHERENCE,
    Row(
        "no-face-copied",
        "metric: arcface, against: train, stat: {share_at_least: 0.9}, max_missing: 0.1, max: 0.1, "
        "rule: bound",
        "0.9 to one photo is that photo",
        "arcface",
        TRAINED,
        3,
    ),
    _NO_COPY,
    Row(
        "distribution",
        "metric: kid, max: 0.05, rule: bound",
        "they vary as the references do; where to begin, not a measurement",
        "inception",
        HELD_OUT,
        50,
    ),
    _SOUND,
)
_STYLE = (
    Row(
        "style",
        "metric: clip_i, min: 0.6, rule: bound",
        "near the references on the whole",
        "clip",
        HELD_OUT,
        5,
    ),
    Row(
        "off-style",
        "metric: clip_i, stat: {share_at_most: 0.45}, max: 0.2, rule: bound",
        "no image is of another style",
        "clip",
        HELD_OUT,
        5,
    ),
    Row(
        "style-gain",
        "metric: clip_i, gain: true, min: 0.05, rule: bound",
        "nearer to the references than the base is",
        "clip",
        HELD_OUT,
        5,
    ),
    Row(
        "content-kept",
        "metric: clip_score, gain: true, min: -0.03, rule: bound",
        "a style may cost a little of the prompt",
        "clip",
    ),
    Row(
        "content-lost",
        "metric: clip_score, gain: true, stat: {share_at_most: -0.1}, max: 0.2, rule: bound",
        "no prompt loses its content",
        "clip",
    ),
    _NO_COPY,
    Row(
        "reach",
        "metric: coverage, network: dino, min: 0.4",
        "most of the references are reached",
        "dino",
        HELD_OUT,
        30,
    ),
    Row(
        "burnt-out",
        "metric: clipped, gain: true, stat: {share_at_least: 0.3}, max: 0.2, rule: bound",
        "no image is burnt out",
    ),
    _SOUND,
)
_PRODUCT = (
    *_SUBJECT[:3],
    Row(
        "no-view",
        "metric: similarity, network: dino, pairing: nearest, stat: {share_at_most: 0.4}, max: 0.2, "
        "rule: bound",
        "each image is like at least one photo",
        "dino",
        HELD_OUT,
        10,
    ),
    *_SUBJECT[3:-1],
    Row(
        "blurred",
        "metric: sharpness, gain: true, stat: {share_at_most: -900}, max: 0.2, rule: bound",
        "no image is far softer than the base's",
    ),
    _SOUND,
)
_FIELD = (
    Row(
        "distribution",
        "metric: polynomial_mmd, network: field, max: 0.05, rule: bound",
        "KID's formula on a network of the field",
        "field",
        HELD_OUT,
        50,
    ),
    Row(
        "alike",
        "metric: similarity, network: field, pairing: nearest, min: 0.5, rule: bound",
        "each image is like a real one",
        "field",
        HELD_OUT,
        5,
    ),
    Row(
        "gained",
        "metric: similarity, network: field, gain: true, min: 0.02, rule: bound",
        "nearer to the references than the base is",
        "field",
        HELD_OUT,
        5,
    ),
    Row(
        "not-a-copy",
        "metric: copy_ratio, network: field, against: train, stat: {share_at_most: 0.5}, max: 0.1, "
        "rule: bound",
        "no training picture comes back",
        "field",
        TRAINED,
        5,
    ),
    Row(
        "blurred",
        "metric: sharpness, gain: true, stat: {share_at_most: -900}, max: 0.2, rule: bound",
        "no image is far softer than the base's",
    ),
    _SOUND,
)
# Not written as rows: they need an extra, and whether a LoRA is to be judged by them is the user's choice.
OPTIONAL_NETWORKS = {"opennsfw": "{}"}
OPTIONAL = (
    Row(
        "unsafe",
        "metric: unsafe, stat: {share_at_least: 0.8}, max: 0.12, rule: bound",
        "the classifier marks no image; none of 25 shows it",
        "opennsfw",
    ),
    Row(
        "unsafe-gain",
        "metric: unsafe, gain: true, max: 0.05, rule: bound",
        "not more unsafe than the base, whatever the prompts bring with them",
        "opennsfw",
    ),
)
_INCEPTION = {"inception": "{}"}
_FACES = {"arcface": "{pack: buffalo_l}"}
KINDS: Mapping[str, Kind] = {
    "person": Kind(
        "a person",
        "person",
        "what the person is without the name: person, woman, man",
        {**_FACES, **_CLIP, **_DINO, **_INCEPTION},
        _PERSON,
    ),
    "subject": Kind(
        "a pet, an animal or a thing", "dog", "what it is: dog, plush toy, car", {**_CLIP, **_DINO}, _SUBJECT
    ),
    "style": Kind(
        "a style",
        "illustration",
        "the medium, which CLIP gets instead of the trigger: illustration, oil painting, photo",
        {**_CLIP, **_DINO},
        _STYLE,
    ),
    "product": Kind(
        "a product", "sneaker", "what it is: sneaker, bottle, chair", {**_CLIP, **_DINO}, _PRODUCT
    ),
    "field": Kind(
        "pictures of a field of its own, such as medicine",
        "chest x-ray",
        "what the pictures are: chest x-ray, satellite image",
        {"field": "{kind: onnx, file: ./encoder.onnx, size: 224}"},
        _FIELD,
    ),
}
