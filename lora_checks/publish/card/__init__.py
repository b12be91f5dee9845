"""Write a Hugging Face model card from a report: measurements, verdicts and sample pictures.

The card is merged into an existing README.md. What a person wrote stays: text outside the marked section,
metadata keys that are already set, and other tags, examples and results.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lora_checks.core.errors import CardError, first_line
from lora_checks.core.files import write_atomically
from lora_checks.publish.card.metadata import merge
from lora_checks.publish.card.pictures import PREFIX, Sample, samples, save
from lora_checks.publish.card.section import put, section
from lora_checks.record.approval import Approval
from lora_checks.record.shapes import Document, Lora
from lora_checks.record.shapes.votes import Votes
from lora_checks.report.markdown import escape

_YAML = re.compile(r"^\s*---(\r\n|\r|\n)(.*?)(\r\n|\r|\n)---", re.DOTALL)  # the hub's own pattern
_EMPTY = "---\n\n---\n"


def chosen(document: Document, name: str | None) -> Lora:
    """Return the LoRA called ``name``, or the only one if ``name`` is None. Raises `CardError`."""
    loras: dict[str, Lora] = {lora["name"]: lora for lora in document["loras"]}
    if name is None and len(loras) == 1:
        return next(iter(loras.values()))
    if name in loras:
        return loras[name]
    problem = "has no LoRA" if name is None and not loras else "has several LoRAs"
    problem = f"has no LoRA '{name}'" if name is not None else problem
    raise CardError(f"the report {problem}; choose one with --lora: {', '.join(loras) or '(none)'}")


def write(
    document: Document,
    lora: Lora,
    readme: Path,
    *,
    most: int = 8,
    lossless: bool = False,
    approvals: Sequence[Approval] = (),
    votes: Votes | None = None,
) -> list[str]:
    """Write ``readme`` and the folder ``images`` next to it.

    Args:
        document: The report.
        lora: One of its LoRAs.
        readme: The card to write, or to merge into if it exists.
        most: How many pictures to show: the first seed of each prompt in the policy's order, whatever
            their values.
        lossless: Save pictures as they were judged instead of as WebP.
        approvals: Who approved the verdict on this LoRA.
        votes: What people preferred.

    Returns:
        Warnings for the owner of the card.

    Raises:
        CardError: The existing card cannot be merged into; it is left unchanged.
    """
    shown = samples(document, lora, most)
    before = _read(readme)
    text, warnings = render(
        document, lora, shown, before, lossless=lossless, approvals=approvals, votes=votes
    )
    save(shown, readme.parent, lossless=lossless)
    try:
        write_atomically(readme, text.encode("utf-8"))
    except OSError as trouble:
        raise CardError(f"{readme} could not be written: {trouble.strerror or trouble}") from trouble
    return warnings + _missing(lora, shown)


def render(
    document: Document,
    lora: Lora,
    shown: list[Sample],
    before: str,
    *,
    lossless: bool = False,
    approvals: Sequence[Approval] = (),
    votes: Votes | None = None,
) -> tuple[str, list[str]]:
    """Return the new text of the card ``before``, and warnings for its owner."""
    from huggingface_hub import ModelCard, RepoCard
    from huggingface_hub.repocard_data import CardData

    class _Card(RepoCard):  # keeps all metadata; ModelCardData drops keys that it does not know
        card_data_class = CardData

    end = "\r\n" if "\r\n" in before else "\n"
    source = before if _YAML.match(before) else _EMPTY.replace("\n", end) + (before or _heading(lora))
    try:
        ModelCard(source)  # refuses invalid results
        card = _Card(source)
        merge(card.data, document, lora, shown, lossless=lossless)
    except Exception as trouble:
        message = f"the card's metadata cannot be read: {first_line(trouble)}; correct it first"
        raise CardError(message) from trouble
    warnings = _comments(before)
    if not card.data.get("license"):
        warnings.append("the card has no license: add `license:` to its metadata")
    gallery = "<Gallery" not in put(card.text, "")
    ours = section(
        document, lora, shown, lossless=lossless, gallery=gallery, approvals=approvals, votes=votes
    )
    card.text = put(card.text, ours, end)
    text = str(card)
    _validate(text)
    return text, warnings


def _heading(lora: Lora) -> str:
    return f"\n# {escape(str(lora['name']))}\n"


def _validate(text: str) -> None:
    """Validate the card with huggingface_hub, offline: `ModelCard.validate` would ask the hub."""
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard_data import model_index_to_eval_results

    try:
        metadata: Any = ModelCard(text).data
        name, results = model_index_to_eval_results(metadata.to_dict()["model-index"])
        same = (name, results) == (metadata.model_name, metadata.eval_results)
    except Exception as trouble:
        raise CardError(
            f"the card would not be valid: {first_line(trouble)}; correct its metadata, or write a new file"
        ) from trouble
    if not same:
        raise CardError("the card's results change when the card is read back; write a new file with --out")


def _read(readme: Path) -> str:
    try:
        with readme.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as trouble:
        raise CardError(f"{readme} cannot be read: {first_line(trouble)}") from trouble


def _comments(before: str) -> list[str]:
    metadata = _YAML.match(before)
    if metadata and any(line.lstrip().startswith("#") for line in metadata[2].splitlines()):
        return ["the comments in the card's metadata are lost: huggingface_hub rewrites the metadata"]
    return []


def _missing(lora: Lora, shown: list[Sample]) -> list[str]:
    if shown:
        return []
    why = "its store no longer has them" if lora.get("pictures") else "the report lists none"
    return [f"the card shows no pictures of {lora['name']}: {why} ({PREFIX}*)"]
