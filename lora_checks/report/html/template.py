"""Render the page from Jinja templates and static files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lora_checks.report.html.escape import policy, script_json

if TYPE_CHECKING:
    from jinja2 import Environment

STYLES = ("page.css", "rows.css", "pictures.css", "compare.css", "charts.css", "print.css")
LIBRARIES = ("d3.min.js", "plot.umd.min.js")
# In dependency order.
SCRIPTS = (
    "base.js", "theme.js", "order.js", "sheet.js", "compare.js", "distributions.js", "matrix.js",
    "spectrum.js", "curves.js", "live.js",
)  # fmt: skip


@lru_cache
def environment() -> Environment:
    """Return the Jinja environment, which escapes all values and rejects undefined names."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("lora_checks.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache
def static(name: str) -> str:
    return files("lora_checks.report.html").joinpath("static", name).read_text(encoding="utf-8")


def scripts(names: Sequence[str] = SCRIPTS, libraries: Sequence[str] = LIBRARIES) -> list[str]:
    """Return a page's scripts: the libraries, then ours joined into one."""
    ours = "\n".join(static(name) for name in names)
    return [*(static(name) for name in libraries), f'(() => {{\n"use strict";\n{ours}}})();']


def render(
    context: Mapping[str, Any],
    data: object,
    pictures: Sequence[str],
    live: Mapping[str, Any] | None = None,
    name: str = "page.html.j2",
) -> str:
    """Render the page; ``data`` and ``pictures`` go into script tags that are not executed."""
    from markupsafe import Markup

    run = scripts()
    text = (
        environment()
        .get_template(name)
        .render(
            **context,
            csp=policy(run, live=live is not None),
            styles=Markup("\n".join(static(style) for style in STYLES)),
            scripts=[Markup(script) for script in run],
            data=Markup(script_json(data)),
            pictures=Markup(script_json(pictures)),
            live=live,
        )
    )
    return text.encode("utf-8", "replace").decode()
