"""Labels: what a domain's pictures show, by which a classifier is trained and tested."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Labelled:
    """One line of a list of labels."""

    file: str  #: name of a picture of the folder
    label: str
    group: str  #: patient, site, ...: pictures of one group are never on both sides of a split
    source: str = ""  #: "labels.csv:12", for messages
