"""Labels: what a domain's pictures show, by which a classifier is trained and tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Texts = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One line of a list of labels."""

    file: str  #: name of a picture of the folder
    label: str
    group: str  #: patient, site, ...: pictures of one group are never on both sides of a split
    source: str = ""  #: "labels.csv:12", for messages


class Labels(NamedTuple):
    """The labels and groups of N pictures."""

    names: Texts  # (N,)
    groups: Texts  # (N,) of generated images the prompt, of real ones the group

    def of(self, rows: NDArray[Any]) -> Labels:
        """Return those of some of the pictures, by index."""
        return Labels(self.names[rows], self.groups[rows])
