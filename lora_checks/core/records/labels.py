"""Labels: what a domain's pictures show, by which a classifier is trained and tested."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lora_checks.core.records.digests import digest


@dataclass(frozen=True, slots=True)
class Labelled:
    """One line of a list of labels."""

    file: str  #: name of a picture of the folder
    label: str
    group: str  #: patient, site, ...: pictures of one group are never on both sides of a split
    source: str = ""  #: "labels.csv:12", for messages


def labels_id(lines: Iterable[Labelled]) -> str:
    """Return " labels=..." for the identity of what was measured: other labels are another question."""
    return f" labels={digest(sorted((line.file, line.label, line.group) for line in lines))[:16]}"
