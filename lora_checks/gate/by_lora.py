"""How pytest-xdist shares several LoRAs among its workers: every test of a LoRA in the same process.

Its own way (``load``) spreads a LoRA's tests, and each worker then loads, proves and waits for nearly every
LoRA. Imported where xdist is at work only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]
from xdist.workermanage import parse_tx_spec_config  # type: ignore[import-untyped]


def wanted(config: pytest.Config, loras: int) -> bool:
    """Where whole LoRAs keep the workers busy, and nobody asked for another way with ``--dist``.

    Else the images of a LoRA are made by several processes, through the store.
    """
    said = [*config.getini("addopts"), *map(str, config.invocation_params.args)]
    asked = any(argument.startswith("--dist") or argument == "-d" for argument in said)
    return not asked and config.getoption("dist") == "load" and even(loras, len(parse_tx_spec_config(config)))


def even(loras: int, workers: int) -> bool:
    """Whether the last LoRAs leave workers idle for an eighth of the time at most."""
    rounds = -(-loras // workers)
    return rounds * workers - loras <= loras / 8


class ByLora(LoadScopeScheduling):  # type: ignore[misc]
    """A LoRA's tests are one unit of work."""

    def __init__(self, config: pytest.Config, log: Any, loras: Sequence[str]) -> None:
        super().__init__(config, log)
        self.by_id = self.ids(loras)

    @staticmethod
    def ids(loras: Sequence[str]) -> dict[str, str]:
        """As pytest shows a name in a test's id -> the name; longest first, so "a-b" before "a"."""
        names = sorted(loras, key=len, reverse=True)
        return {name.encode("unicode_escape").decode("ascii"): name for name in names}

    def _split_scope(self, nodeid: str) -> str:
        """The LoRA that a test's parameters name; a test without one is a unit of its own."""
        parameters = nodeid.partition("[")[2].removesuffix("]")
        for shown, name in self.by_id.items():
            if parameters == shown or parameters.startswith(f"{shown}-"):
                return name
        return nodeid
