"""The labels of N pictures, as a metric of labelled pictures gets them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Texts = NDArray[np.str_]


class Labels(NamedTuple):
    """The labels and groups of N pictures."""

    names: Texts  # (N,)
    groups: Texts  # (N,) of generated images the prompt, of real ones the patient or site

    def of(self, rows: NDArray[Any]) -> Labels:
        """Return those of some of the pictures, by index."""
        return Labels(self.names[rows], self.groups[rows])
