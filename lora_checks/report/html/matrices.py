"""Compute how similar each image is to each reference, from the features in the store."""

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
MOST = 400_000  # cells; larger matrices are not shown
MISSING = 255  # of the coded values, 0..254


def matrices(document: Row, album: Album) -> list[dict[str, Any]]:
    """Return a matrix for each LoRA and each row that compares pictures, without duplicates."""
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
    """Order rows so that those about values come before those about missing values."""
    return sorted(rows, key=lambda row: bool(row["measurement"]["stat"] == "missing"))


def folder_of(row: Row) -> str:
    """Return "references" for "references (24)"."""
    return str(row["measurement"]["against"]).rpartition(" (")[0]


def _metric(row: Row) -> Metric | None:
    """Return the metric if it compares each image with each picture of a folder, else None."""
    try:
        found = metrics.get(row["measurement"]["metric"])
    except LoraChecksError:  # a custom metric whose declaration is not loaded
        return None
    compares = found.against == "reference" and found.per == "image"
    return found if compares and found.takes in ("features", "distances") else None


def values_of(
    store: Path, row: Row, metric: Metric, images: Sequence[Row], others: Sequence[Row]
) -> Floats | None:
    """Return the (N, M) values, or None if the store lacks some or the metric does not compare pairs."""
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
    """Select the features of a stored array: ArcFace's last number is the count of faces."""
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
    """Encode a matrix for the page: one byte per cell, and the names of rows and columns."""
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
