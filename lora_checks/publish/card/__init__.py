"""A Hugging Face model card from a report: what was measured, how it was judged, and what the LoRA paints.

Merged into the README.md that is there. What a person wrote stays: text outside the marked section, keys of
the metadata that are set already, other tags, other examples and other results.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lora_checks.core.errors import CardError, first_line
from lora_checks.core.files import write_atomically
from lora_checks.publish.card.metadata import merge
from lora_checks.publish.card.pictures import PREFIX, Sample, samples, save
from lora_checks.publish.card.section import put, section
from lora_checks.record.shapes import Document, Lora
from lora_checks.report.markdown import escape

_YAML = re.compile(r"^\s*---(\r\n|\r|\n)(.*?)(\r\n|\r|\n)---", re.DOTALL)  # as the hub finds it
_EMPTY = "---\n\n---\n"


def chosen(document: Document, name: str | None) -> Lora:
    """The LoRA of that name, or the only one. Raises `CardError`."""
    loras: dict[str, Lora] = {lora["name"]: lora for lora in document["loras"]}
    if name is None and len(loras) == 1:
        return next(iter(loras.values()))
    if name in loras:
        return loras[name]
    said = "has no LoRA" if name is None and not loras else "has several LoRAs"
    said = f"has no LoRA '{name}'" if name is not None else said
    raise CardError(f"the report {said}; choose one with --lora: {', '.join(loras) or '(none)'}")


def write(
    document: Document, lora: Lora, readme: Path, *, most: int = 8, lossless: bool = False
) -> list[str]:
    """Write ``readme`` and the folder ``images`` beside it; sentences that its owner should read come back.

    ``most`` pictures are shown: the first seed of each prompt in the policy's order, never by their values.
    Raises `CardError` where the card that is there cannot be merged into; it is left as it was.
    """
    found = samples(document, lora, most)
    before = _read(readme)
    text, warnings = render(document, lora, found, before, lossless=lossless)
    save(found, readme.parent, lossless=lossless)
    try:
        write_atomically(readme, text.encode("utf-8"))
    except OSError as trouble:
        raise CardError(f"{readme} could not be written: {trouble.strerror or trouble}") from trouble
    return warnings + _missing(lora, found)


def render(
    document: Document, lora: Lora, found: list[Sample], before: str, *, lossless: bool = False
) -> tuple[str, list[str]]:
    """The card's new text, and what its owner should know of it."""
    from huggingface_hub import ModelCard, RepoCard
    from huggingface_hub.repocard_data import CardData

    class _Card(RepoCard):  # keeps metadata as it was read; ModelCardData loses what it does not know
        card_data_class = CardData

    end = "\r\n" if "\r\n" in before else "\n"
    given = before if _YAML.match(before) else _EMPTY.replace("\n", end) + (before or _heading(lora))
    try:
        ModelCard(given)  # refuses results that are none
        card = _Card(given)
        merge(card.data, document, lora, found, lossless=lossless)
    except Exception as trouble:
        said = f"the card's metadata cannot be read: {first_line(trouble)}; mend it first"
        raise CardError(said) from trouble
    warnings = _comments(before)
    if not card.data.get("license"):
        warnings.append("the card names no license: add `license:` to its metadata")
    ours = section(document, lora, found, lossless=lossless, gallery="<Gallery" not in put(card.text, ""))
    card.text = put(card.text, ours, end)
    text = str(card)
    _validate(text)
    return text, warnings


def _heading(lora: Lora) -> str:
    return f"\n# {escape(str(lora['name']))}\n"


def _validate(text: str) -> None:
    """By the hub's own library, offline; `ModelCard.validate` asks the hub, which nobody asked us to."""
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard_data import model_index_to_eval_results

    try:
        found: Any = ModelCard(text).data
        name, results = model_index_to_eval_results(found.to_dict()["model-index"])
        known = (name, results) == (found.model_name, found.eval_results)
    except Exception as trouble:
        raise CardError(
            f"the card would not be valid: {first_line(trouble)}; mend its metadata, or write a new file"
        ) from trouble
    if not known:
        raise CardError("the card's results do not survive being read again; write a new file with --out")


def _read(readme: Path) -> str:
    try:
        with readme.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as trouble:
        raise CardError(f"{readme} cannot be read: {first_line(trouble)}") from trouble


def _comments(before: str) -> list[str]:
    found = _YAML.match(before)
    if found and any(line.lstrip().startswith("#") for line in found[2].splitlines()):
        return ["the comments in the card's metadata are gone: huggingface_hub writes it anew"]
    return []


def _missing(lora: Lora, found: list[Sample]) -> list[str]:
    if found:
        return []
    listed = "its store no longer has them" if lora.get("pictures") else "the report lists none"
    return [f"the card shows no pictures of {lora['name']}: {listed} ({PREFIX}*)"]
