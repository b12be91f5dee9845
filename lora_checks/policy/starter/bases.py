"""Find a published base by its pipeline, its hub id or the family of a LoRA."""

from __future__ import annotations

from lora_checks.policy.starter.base_table import BASES
from lora_checks.policy.starter.known_base import KnownBase

__all__ = ["BASES", "UNKNOWN", "KnownBase", "of_family", "of_model", "of_pipeline"]

UNKNOWN = KnownBase("a base of its own", "", 30, 4.0, 1024)


def of_pipeline(pipeline: str) -> KnownBase:
    """Return the base that stands for a pipeline class; `UNKNOWN` for any other class."""
    return next((base for base in BASES.values() if pipeline and base.pipeline == pipeline), UNKNOWN)


def of_model(model: str) -> KnownBase | None:
    """Return the base with this hub id; None if it is not known."""
    return next((base for base in BASES.values() if base.model == model), None)


def of_family(family: str) -> str | None:
    """Return the key of the base that files of a family are for; None if it is not known."""
    return next((key for key, base in BASES.items() if family in base.families), None)
