"""Settings of the docs site: `sphinx-build -W --keep-going -b html docs build/site`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

_PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]

project = _PROJECT["name"]
release = version = _PROJECT["version"]
html_title = f"{project} {release}"
html_theme = "furo"
html_show_copyright = False
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

default_role = "code"  # what docstrings put between single backquotes
myst_heading_anchors = 3
myst_all_links_external = False
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"

_AS_WRITTEN: dict[str, list[str]] = {}


def setup(app: Any) -> None:
    """Keep napoleon away from fields and properties: it takes what stands before a colon for a type."""
    app.connect("autodoc-process-docstring", _remember, priority=400)
    app.connect("autodoc-process-docstring", _restore, priority=600)


def _remember(_app: Any, what: str, name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    if what in ("attribute", "property"):
        _AS_WRITTEN[name] = list(lines)


def _restore(_app: Any, _what: str, name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    if name in _AS_WRITTEN:
        lines[:] = _AS_WRITTEN.pop(name)
