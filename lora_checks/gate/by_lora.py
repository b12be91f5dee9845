"""A scheduler for pytest-xdist that runs every test of a LoRA in the same worker.

xdist's default (``load``) spreads a LoRA's tests over the workers, so that nearly every worker loads and
proves nearly every LoRA, and waits for its images. This module is imported only if xdist is active.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]
from xdist.workermanage import parse_tx_spec_config  # type: ignore[import-untyped]


def wanted(config: pytest.Config, loras: int) -> bool:
    """Tell whether whole LoRAs keep the workers busy, and nobody chose another way with ``--dist``.

    Otherwise several workers share the images of one LoRA, through the store.
    """
    arguments = [*config.getini("addopts"), *map(str, config.invocation_params.args)]
    asked = any(argument.startswith("--dist") or argument == "-d" for argument in arguments)
    return not asked and config.getoption("dist") == "load" and even(loras, len(parse_tx_spec_config(config)))


def even(loras: int, workers: int) -> bool:
    """Tell whether workers are idle for at most an eighth of the time while the last LoRAs run."""
    rounds = -(-loras // workers)
    return rounds * workers - loras <= loras / 8


class ByLora(LoadScopeScheduling):  # type: ignore[misc]
    """Treat the tests of one LoRA as one unit of work."""

    def __init__(self, config: pytest.Config, log: Any, loras: Sequence[str]) -> None:
        super().__init__(config, log)
        self.by_id = self.ids(loras)

    @staticmethod
    def ids(loras: Sequence[str]) -> dict[str, str]:
        """Map pytest's spelling of each name to the name, the longest first: "a-b" before "a"."""
        names = sorted(loras, key=len, reverse=True)
        return {name.encode("unicode_escape").decode("ascii"): name for name in names}

    def _split_scope(self, nodeid: str) -> str:
        """Return the LoRA that a test's parameters name; a test without a LoRA is a unit by itself."""
        parameters = nodeid.partition("[")[2].removesuffix("]")
        for shown, name in self.by_id.items():
            if parameters == shown or parameters.startswith(f"{shown}-"):
                return name
        return nodeid
