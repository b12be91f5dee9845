"""Compute the page's spectrum curves of each LoRA's images, the base's and the references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lora_checks.record.shapes import Run
from lora_checks.report.html import spectrum
from lora_checks.report.html.album import pictures_of
from lora_checks.report.html.prints import Prints, numbers_of
from lora_checks.report.html.thumbnails import spread

REFERENCES = "references"


def sets(run: Run, loras: Sequence[Mapping[str, Any]], prints: Prints) -> list[tuple[str, str, list[int]]]:
    """Return each curve's kind ("lora", "base", "references"), name and evenly chosen pictures."""
    curve_sets = [("lora", lora["title"], numbers_of(lora["images"], "picture")) for lora in loras]
    bases = {number for lora in loras for number in numbers_of(lora["images"], "base")}
    curve_sets.append(("base", "base", sorted(bases)))
    references = (prints.album.number(image["sha256"]) for image in pictures_of(run, REFERENCES))
    curve_sets.append((REFERENCES, REFERENCES, [number for number in references if number is not None]))
    return [(kind, name, _some(numbers)) for kind, name, numbers in curve_sets if numbers]


def _some(numbers: Sequence[int]) -> list[int]:
    return [numbers[i] for i in spread(len(numbers), spectrum.MOST)]


def side_of(chosen: Sequence[tuple[str, str, list[int]]], prints: Prints) -> int:
    """Return the common side in px: the shorter side of the LoRAs' images, 0 without images."""
    sides = (prints.side(number) for kind, _, numbers in chosen if kind == "lora" for number in numbers)
    return next((side for side in sides if side), 0)


def curves(chosen: Sequence[tuple[str, str, list[int]]], prints: Prints, side: int) -> dict[str, Any] | None:
    """Return the curves, or None if the LoRAs' pictures are missing or too small."""
    if side < 16:
        return None
    lines = [line for line in (_line(*curve_set, prints, side) for curve_set in chosen) if line is not None]
    if not any(line["kind"] == "lora" for line in lines):
        return None
    return {
        "side": side,
        "most": spectrum.MOST,
        "frequency": _rounded(spectrum.frequencies(side)),
        "lines": lines,
        "differences": [words for words in (_difference(line, lines) for line in lines) if words],
    }


def _line(kind: str, name: str, numbers: list[int], prints: Prints, side: int) -> dict[str, Any] | None:
    readable = [curve for curve in (prints.spectrum(number, side) for number in numbers) if curve is not None]
    if not readable:
        return None
    mean, low, high = (_rounded(curve) for curve in spectrum.mean_and_spread(readable))
    about = {"kind": kind, "name": name, "count": len(readable), "smaller": len(numbers) - len(readable)}
    return about | {"mean": mean, "low": low, "high": high}


def _difference(line: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> str:
    """Return "overcooked 420 %": power in the finest detail relative to the references."""
    reference_line = next((other for other in lines if other["kind"] == REFERENCES), None)
    if line["kind"] != "lora" or reference_line is None:
        return ""
    fine = len(line["mean"]) // 5 or 1  # the last fifth or so of the rings: less than an octave
    ratio = 10 ** float(np.mean(line["mean"][-fine:]) - np.mean(reference_line["mean"][-fine:]))
    return f"{line['name']} {100 * ratio:.0f} %"


def _rounded(curve: Any) -> list[float]:
    return [round(float(value), 4) for value in curve]
