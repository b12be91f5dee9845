"""How others repeat a run: what was asked for, without the places of the machine that it ran on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from lora_checks.core.words import printable

TELLING = (  # options that decide a verdict; others say where things lie
    *(
        "--lora-policy",
        "--lora-thresholds",
        "--lora-prompts",
        "--lora-references",
        "--lora-base",
        "--lora-seeds",
        "--lora-until-decided",
    ),
    *(
        "--lora-scale",
        "--lora-with",
        "--lora-images",
        "--lora-images-from",
        "--lora-baseline-images",
        "--lora-dtype",
    ),
    *("--lora-offload", "--lora-save-memory"),
)
_PATH = re.compile(r"(?<![\w./:])(?:/|~/|[A-Za-z]:\\)(?:[^\s/\\;,'\"]+[/\\])*([^\s/\\;,'\"]+)")
Row = Mapping[str, Any]


def command(run: Row, lora: Row) -> str:
    """What was asked for, without the places of the machine that ran it."""
    given = shlex.split(str(run.get("command", "")))
    names = {word.partition("=")[0] for word in given}
    kept: list[str] = []
    for at, word in enumerate(given):
        name, equals, value = word.partition("=")
        option = _own_name(name)
        if option in TELLING and (name == option or option not in names):
            following = given[at + 1] if at + 1 < len(given) else ""
            kept += [option, placeless(value if equals else following)]
    file = PurePath(lora["path"]).name or str(lora["name"])
    text = shlex.join(["pytest", *kept, *(["--lora", file] if lora["path"] else [])])
    return printable(text).replace("```", "'''")


def _own_name(name: str) -> str:
    """``--policy``, a bare name that pytest read as the gate's, as ``--lora-policy``."""
    if name == "--with-lora":
        return "--lora-with"
    return name if name.startswith("--lora") else name.replace("--", "--lora-", 1)


def placeless(text: str) -> str:
    """Without the folders of absolute paths: a card is public, and a home folder has its owner's name."""
    return _PATH.sub(r"\1", text)
