"""Prepare average, minimum and maximum of each row over the images of each LoRA."""

from __future__ import annotations

from typing import Any

from lora_checks.core.words import number, printable
from lora_checks.record.rows import title
from lora_checks.record.shapes import Document
from lora_checks.report import experiments, leaderboard


def context(document: Document) -> dict[str, Any] | None:
    """Return the table for a run of several LoRAs, the best first; None if no row has values of images."""
    ranking, loras = document.get("ranking"), document["loras"]
    columns = experiments.columns(loras)
    if len(loras) < 2 or not columns:
        return None
    numbers = {lora["name"]: i for i, lora in enumerate(loras)}
    return {
        "columns": [(printable(column.check), printable(column.label)) for column in columns],
        "rows": [
            {
                "number": numbers[lora["name"]],
                "name": printable(title(lora)),
                "outcome": lora["outcome"],
                "cells": [_cell(experiments.span(lora, column.check)) for column in columns],
            }
            for lora in (leaderboard.in_order(ranking, loras) if ranking else loras)
        ],
    }


def _cell(span: experiments.Span | None) -> dict[str, str]:
    if span is None:
        return {"average": "", "range": "", "images": ""}
    return {
        "average": number(span.average),
        "range": f"{number(span.least)} to {number(span.most)}",
        "images": str(span.images),
    }
