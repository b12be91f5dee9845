"""Supply a first policy's prompts: 32 for each kind of LoRA, with one change at a time where possible.

With 32 prompts, a row that allows a tenth of the images to fail can pass by its bound.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from lora_checks.core.errors import ConfigError

TRIGGER = "{trigger}"
_PERSON = """
photo of {trigger} in a blue shirt
photo of {trigger} in a red leather jacket
photo of {trigger} in a black suit and tie
photo of {trigger} in a green wool sweater
photo of {trigger} in a white t-shirt
photo of {trigger} in a yellow raincoat
photo of {trigger} dressed as a chef in a kitchen
photo of {trigger} in a denim jacket
photo of {trigger} wearing round glasses
photo of {trigger} wearing a straw hat
photo of {trigger} wearing headphones
photo of {trigger} with a red scarf
close-up portrait of {trigger} smiling at the camera
close-up portrait of {trigger} with a serious expression
portrait of {trigger} laughing out loud
portrait of {trigger} looking surprised
studio headshot of {trigger}, plain grey background
half body photo of {trigger} with folded arms
photo of {trigger} sitting at a desk
three-quarter view portrait of {trigger}
photo of {trigger} reading a book on a sofa
photo of {trigger} holding a cup of coffee
photo of {trigger} playing the guitar
photo of {trigger} riding a bicycle
photo of {trigger} in a forest in autumn
photo of {trigger} on a beach at sunset
photo of {trigger} in a city street at night
photo of {trigger} in the snow
photo of {trigger} in a library
pencil drawing of {trigger}
oil painting of {trigger}
black and white photo of {trigger}
"""
_SUBJECT = """
photo of {trigger} on a beach
photo of {trigger} in the snow
photo of {trigger} in a forest in autumn
photo of {trigger} on green grass
photo of {trigger} on a wooden floor
photo of {trigger} on a red carpet
photo of {trigger} on a white background
photo of {trigger} on a city street at night
photo of {trigger} in front of a brick wall
photo of {trigger} in front of a mountain lake
photo of {trigger} on a sofa
photo of {trigger} on a kitchen table
photo of {trigger} in a garden full of flowers
photo of {trigger} at sunset
photo of {trigger} in the rain
photo of {trigger} under blue neon light
photo of {trigger} seen from above
photo of {trigger} seen from the side
close-up photo of {trigger}
photo of {trigger} far away in a large field
photo of {trigger} with a yellow umbrella
photo of {trigger} with a red balloon
photo of {trigger} next to a bicycle
photo of {trigger} next to a cup of coffee
photo of {trigger} beside a stack of books
photo of {trigger} on a boat
photo of {trigger} in a market hall
photo of {trigger} in a subway station
pencil drawing of {trigger}
watercolour painting of {trigger}
oil painting of {trigger}
black and white photo of {trigger}
"""
_STYLE = """
a lighthouse on a cliff, {trigger}
a sailing boat on a calm sea, {trigger}
a mountain lake in the morning, {trigger}
a forest path in autumn, {trigger}
a city street at night, {trigger}
a market full of people, {trigger}
a train crossing a bridge, {trigger}
a windmill in a field of tulips, {trigger}
a castle on a hill, {trigger}
a desert with a single tree, {trigger}
a snowy village, {trigger}
a waterfall in a jungle, {trigger}
an old woman reading a newspaper, {trigger}
a boy flying a kite, {trigger}
a chef cooking in a kitchen, {trigger}
a musician playing the violin, {trigger}
two friends drinking coffee, {trigger}
a knight in armour, {trigger}
a dancer on a stage, {trigger}
a portrait of a man with a beard, {trigger}
a portrait of a girl with red hair, {trigger}
a cat on a window sill, {trigger}
a dog running on a beach, {trigger}
a horse in a meadow, {trigger}
an owl on a branch, {trigger}
a red car in front of a house, {trigger}
a bicycle leaning on a wall, {trigger}
a bowl of fruit on a table, {trigger}
a vase of sunflowers, {trigger}
a cup of tea and a book, {trigger}
a robot in a workshop, {trigger}
a spaceship above a planet, {trigger}
"""
_PRODUCT = """
product photo of {trigger} on a white background
product photo of {trigger} on a black background
product photo of {trigger} on a pink background
product photo of {trigger} on a marble table
product photo of {trigger} on a wooden table
product photo of {trigger} on a concrete block
product photo of {trigger} on a stone in a river
product photo of {trigger} on sand
product photo of {trigger} in the snow
product photo of {trigger} on green moss
product photo of {trigger} in front of a window
product photo of {trigger} on a shelf
product photo of {trigger} in an open box
product photo of {trigger} on a bathroom sink
product photo of {trigger} on an office desk
product photo of {trigger} on a picnic blanket
product photo of {trigger} in a shop window
product photo of {trigger} on a city street
product photo of {trigger} at sunset
product photo of {trigger} in the rain
product photo of {trigger} under blue neon light
product photo of {trigger} in hard sunlight with long shadows
close-up photo of {trigger}
photo of {trigger} seen from above
photo of {trigger} seen from the side
photo of {trigger} at an angle from below
photo of {trigger} held in a hand
photo of {trigger} with orange flowers
photo of {trigger} with green leaves
photo of {trigger} beside a cup of coffee
photo of {trigger} in a magazine advertisement
black and white photo of {trigger}
"""
TEXTS: Mapping[str, str] = {"person": _PERSON, "subject": _SUBJECT, "style": _STYLE, "product": _PRODUCT}


def texts_of(kind: str, trigger: str) -> list[str]:
    """Return the prompts of a kind with the trigger in its place; [] for the kind "field"."""
    lines = TEXTS.get(kind, "").strip().splitlines()
    return [line.replace(TRIGGER, trigger) for line in lines]


def read(path: Path, trigger: str) -> list[str]:
    """Read the texts of a file: a line each, a JSON list or object, or a CSV with the column ``prompt``.

    ``{trigger}`` stands for the trigger; a text that has neither gets it in front.

    Raises:
        ConfigError: The file cannot be read, or has no prompt.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
        texts = [" ".join(text.split()) for text in _texts(path.suffix.lower(), content)]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"--prompts: {path} cannot be read as prompts: {error}") from error
    unique = list(dict.fromkeys(text for text in texts if text))
    if not unique:
        raise ConfigError(f"--prompts: {path} has no prompt")
    return [with_trigger(text, trigger) for text in unique]


def _texts(suffix: str, content: str) -> Iterable[str]:
    if suffix == ".csv":
        rows = csv.DictReader(content.splitlines())
        if "prompt" not in (rows.fieldnames or ()):
            raise ValueError("it has no column 'prompt'")
        return [row["prompt"] or "" for row in rows]
    if suffix != ".json":
        return content.splitlines()
    loaded = json.loads(content)
    values = list(loaded.values()) if isinstance(loaded, dict) else loaded
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("it must be a list of texts, or an object whose values are texts")
    return values


def with_trigger(text: str, trigger: str) -> str:
    """Return the text with the trigger in it."""
    text = text.replace(TRIGGER, trigger)
    return text if re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", text) else f"{trigger}, {text}"


def identifiers(texts: Iterable[str], trigger: str) -> list[str]:
    """Return an id for each text: its words without the trigger's, made unique."""
    taken: dict[str, int] = {}
    result = []
    for text in texts:
        words = re.sub(r"[^a-z0-9]+", "-", text.replace(trigger, " ").lower()).strip("-")
        words = re.sub(r"^((a|an|the|of|in|on|photo|product)-)+", "", words)
        name = re.sub(r"-of$", "", words[:40].strip("-")) or "prompt"
        taken[name] = taken.get(name, 0) + 1
        result.append(name if taken[name] == 1 else f"{name}-{taken[name]}")
    return result
