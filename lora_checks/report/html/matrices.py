"""Compute how similar each image is to each reference, from the features in the store."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lora_checks import metrics
from lora_checks.core.errors import LoraChecksError, StoreError
from lora_checks.core.records import Metric
from lora_checks.core.store import array_path, from_npy
from lora_checks.core.words import printable
from lora_checks.networks import ROLES
from lora_checks.networks.faces import PARTS
from lora_checks.record.shapes import Document
from lora_checks.record.shapes.rows import Measurement, NamedFile
from lora_checks.report.html.album import Album, pictures_of
from lora_checks.report.html.sheet import measured, short_title

Floats = NDArray[np.float64]
MOST = 400_000  # cells; larger matrices are not shown
MISSING = 255  # of the coded values, 0..254


def matrices(document: Document, album: Album) -> list[dict[str, Any]]:
    """Return a matrix for each LoRA and each row that compares pictures, without duplicates."""
    store = Path(document["run"].get("store") or "")
    shown, seen = [], set()
    for number, lora in enumerate(document["loras"]):
        # rows about values come before those about missing values
        for row, m in sorted(measured(lora), key=lambda pair: pair[1]["stat"] == "missing"):
            metric, folder = _metric(m), folder_of(m)
            key = (number, m["network"], folder)
            if metric is None or key in seen:
                continue
            seen.add(key)
            others = pictures_of(document["run"], folder)
            images = lora.get("pictures") or ()
            values = values_of(store, m, metric, images, others)
            if values is not None and values.size <= MOST:
                about = {"lora": number, "title": short_title(lora), "check": printable(row["check"])}
                shown.append(about | _coded(values, m, metric, images, others, album))
    return shown


def folder_of(m: Measurement) -> str:
    """Return "references" for "references (24)"."""
    return m["against"].rpartition(" (")[0]


def _metric(m: Measurement) -> Metric | None:
    """Return the metric if it compares each image with each picture of a folder, else None."""
    try:
        metric = metrics.get(m["metric"])
    except LoraChecksError:  # a custom metric whose declaration is not loaded
        return None
    compares = metric.against == "reference" and metric.per == "image"
    return metric if compares and metric.takes in ("features", "distances") else None


def values_of(
    store: Path,
    m: Measurement,
    metric: Metric,
    images: Sequence[NamedFile],
    others: Sequence[NamedFile],
) -> Floats | None:
    """Return the (N, M) values, or None if the store lacks some or the metric does not compare pairs."""
    network = m["network"].partition(" ")[2]
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
    part = _part(m)
    try:
        values = cast(Floats, metric.fn(a[:, part], b[:, part]))
    except (LoraChecksError, ValueError):
        return None
    return values if values.ndim == 2 else None


def _part(m: Measurement) -> slice:
    """Select the features of a stored array: behind those of a face are the number of faces and landmarks."""
    kind = m["network"].partition(" ")[2].partition("/")[0]
    return PARTS["features"] if kind in ROLES["face"] else slice(None)


def _rows(paths: Sequence[Path]) -> Floats | None:
    try:
        return np.stack([from_npy(path).astype(np.float64) for path in paths])
    except (StoreError, ValueError):  # some are gone, damaged or of another shape
        return None


def _coded(
    values: Floats,
    m: Measurement,
    metric: Metric,
    images: Sequence[NamedFile],
    others: Sequence[NamedFile],
    album: Album,
) -> dict[str, Any]:
    """Encode a matrix for the page: one byte per cell, and the names of rows and columns."""
    there = np.isfinite(values)
    low, high = (float(values[there].min()), float(values[there].max())) if there.any() else (0.0, 1.0)
    scaled = np.where(there, (values - low) / (high - low or 1.0) * (MISSING - 1), MISSING)
    return {
        "metric": printable(metric.name),
        "network": printable(m["label"]),
        "folder": printable(folder_of(m)),
        "closer": metric.closer or metric.better,
        "low": low,
        "high": high,
        "cells": base64.b64encode(np.rint(scaled).astype(np.uint8).tobytes()).decode(),
        "rows": [printable(image["name"]) for image in images],
        "columns": [printable(other["name"]) for other in others],
        "pictures": [album.number(other["sha256"]) for other in others],
    }
