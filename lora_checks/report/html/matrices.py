"""How alike each image and each reference are, from what the networks said of them: kept in the store."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lora_checks import metrics
from lora_checks.core.errors import LoraChecksError, StoreError
from lora_checks.core.records import Metric
from lora_checks.core.store import array_path, from_npy
from lora_checks.core.words import printable
from lora_checks.report.html.album import Album, pictures_of
from lora_checks.report.html.sheet import measured, short_title

Row = Mapping[str, Any]
Floats = NDArray[np.float64]
MOST = 400_000  # cells: a larger one cannot be seen
MISSING = 255  # of the coded values, 0..254


def matrices(document: Row, album: Album) -> list[dict[str, Any]]:
    """Of each LoRA and row that compares with pictures, once where two rows see the same."""
    store = Path(document["run"].get("store") or "")
    found, seen = [], set()
    for number, lora in enumerate(document["loras"]):
        for row in _by_mean(measured(lora)):
            metric, folder = _metric(row), folder_of(row)
            key = (number, row["measurement"]["network"], folder)
            if metric is None or key in seen:
                continue
            seen.add(key)
            others = pictures_of(document["run"], folder)
            values = values_of(store, row, metric, lora.get("pictures") or (), others)
            if values is not None and values.size <= MOST:
                about = {"lora": number, "title": short_title(lora), "check": printable(row["check"])}
                found.append(about | _coded(values, row, metric, lora["pictures"], others, album))
    return found


def _by_mean(rows: Sequence[Row]) -> list[Row]:
    """Of two rows that see the same, the one about the values, not that about how many are missing."""
    return sorted(rows, key=lambda row: bool(row["measurement"]["stat"] == "missing"))


def folder_of(row: Row) -> str:
    """ "references" of "references (24)"."""
    return str(row["measurement"]["against"]).rpartition(" (")[0]


def _metric(row: Row) -> Metric | None:
    """The metric of a row that compares each image with each picture of a folder."""
    try:
        found = metrics.get(row["measurement"]["metric"])
    except LoraChecksError:  # one of the team's own, declared in a test that is not there now
        return None
    compares = found.against == "reference" and found.per == "image"
    return found if compares and found.takes in ("features", "distances") else None


def values_of(
    store: Path, row: Row, metric: Metric, images: Sequence[Row], others: Sequence[Row]
) -> Floats | None:
    """(N, M); None where the store does not have all of it or the metric does not look at pairs."""
    network = row["measurement"]["network"].partition(" ")[2]
    theirs, own = [other["sha256"] for other in others], [image["sha256"] for image in images]
    if not own or not theirs:
        return None
    if metric.takes == "distances":
        x = _rows([array_path(store, network, sha256, theirs) for sha256 in own])
        return x if x is not None and x.shape == (len(own), len(theirs)) else None
    a = _rows([array_path(store, network, sha256) for sha256 in own])
    b = _rows([array_path(store, network, sha256) for sha256 in theirs])
    if a is None or b is None:
        return None
    part = _part(row)
    try:
        found = cast(Floats, metric.fn(a[:, part], b[:, part]))
    except (LoraChecksError, ValueError):
        return None
    return found if found.ndim == 2 else None


def _part(row: Row) -> slice:
    """Of what the store keeps for a picture: ArcFace's last number is that of faces."""
    kind = row["measurement"]["network"].partition(" ")[2].partition("/")[0]
    return slice(0, -1) if kind == "arcface" else slice(None)


def _rows(paths: Sequence[Path]) -> Floats | None:
    try:
        return np.stack([from_npy(path).astype(np.float64) for path in paths])
    except (StoreError, ValueError):  # some are gone, damaged or of another shape
        return None


def _coded(
    values: Floats, row: Row, metric: Metric, images: Sequence[Row], others: Sequence[Row], album: Album
) -> dict[str, Any]:
    """For the page: a byte a cell between the least and the most, and what stands in rows and columns."""
    there = np.isfinite(values)
    low, high = (float(values[there].min()), float(values[there].max())) if there.any() else (0.0, 1.0)
    scaled = np.where(there, (values - low) / (high - low or 1.0) * (MISSING - 1), MISSING)
    return {
        "metric": printable(metric.name),
        "network": printable(row["measurement"]["label"]),
        "folder": printable(folder_of(row)),
        "closer": metric.closer or metric.better,
        "low": low,
        "high": high,
        "cells": base64.b64encode(np.rint(scaled).astype(np.uint8).tobytes()).decode(),
        "rows": [printable(image["name"]) for image in images],
        "columns": [printable(other["name"]) for other in others],
        "pictures": [album.number(other["sha256"]) for other in others],
    }
