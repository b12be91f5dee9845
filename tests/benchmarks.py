"""Imports a script of the folder benchmarks/, as it is imported when it runs."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    """Import ``benchmarks/NAME.py``; what it imports from its own folder is found there."""
    sys.path.insert(0, str(FOLDER))
    try:
        return import_module(name)
    finally:
        sys.path.pop(0)
