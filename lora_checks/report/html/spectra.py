"""Compute the page's spectrum curves of each LoRA's images, the base's and the references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
    most = _most(len(curve_sets))
    return [
        (kind, name, [numbers[i] for i in spread(len(numbers), most)])
        for kind, name, numbers in curve_sets
        if numbers
    ]


def _most(sets: int) -> int:
    """Return how many pictures each curve is the mean of: fewer where there are many curves."""
    return max(spectrum.FEWEST, min(spectrum.MOST, spectrum.ALL // sets))


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
        "most": max(len(numbers) for _, _, numbers in chosen),
        "frequency": _rounded(spectrum.frequencies(side)),
        "lines": lines,
        "differences": [words for words in (_difference(line, lines, side) for line in lines) if words],
    }


def _line(kind: str, name: str, numbers: list[int], prints: Prints, side: int) -> dict[str, Any] | None:
    readable = [curve for curve in (prints.spectrum(number, side) for number in numbers) if curve is not None]
    if not readable:
        return None
    mean, low, high = (_rounded(curve) for curve in spectrum.mean_and_spread(readable))
    about = {"kind": kind, "name": name, "count": len(readable), "smaller": len(numbers) - len(readable)}
    return about | {"mean": mean, "low": low, "high": high}


def _difference(line: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], side: int) -> str:
    """Return "overcooked 420 %": power in the last octave relative to the references."""
    reference_line = next((other for other in lines if other["kind"] == REFERENCES), None)
    if line["kind"] != "lora" or reference_line is None:
        return ""
    ratio = 10 ** (spectrum.fine(line["mean"], side) - spectrum.fine(reference_line["mean"], side))
    return f"{line['name']} {100 * ratio:.0f} %"


def _rounded(curve: Any) -> list[float]:
    return [round(float(value), 4) for value in curve]
