"""Write the command that repeats a run, without the paths of the machine that ran it."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePath

from lora_checks.core.words import printable
from lora_checks.record.shapes import Lora, Run

TELLING = (  # options that decide a verdict; the others are local paths
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
    *("--lora-offload", "--lora-compile", "--lora-save-memory"),
)
SWITCHES = {"--lora-compile"}  # of these, the options that have no value
_PATH = re.compile(r"(?<![\w./:])(?:/|~/|[A-Za-z]:\\)(?:[^\s/\\;,'\"]+[/\\])*([^\s/\\;,'\"]+)")


def command(run: Run, lora: Lora) -> str:
    """Return the pytest command that repeats the run of ``lora``, without local paths."""
    words = shlex.split(run["command"])
    names = {word.partition("=")[0] for word in words}
    options: list[str] = []
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        option = _full_name(name)
        if option in TELLING and (name == option or option not in names):
            following = words[at + 1] if at + 1 < len(words) else ""
            options.append(option)
            if option not in SWITCHES:
                options.append(placeless(value if equals else following))
    file = PurePath(lora["path"]).name or lora["name"]
    text = shlex.join(["pytest", *options, *(["--lora", file] if lora["path"] else [])])
    return printable(text).replace("```", "'''")


def _full_name(name: str) -> str:
    """Return ``--lora-policy`` for the alias ``--policy``."""
    if name == "--with-lora":
        return "--lora-with"
    return name if name.startswith("--lora") else name.replace("--", "--lora-", 1)


def placeless(text: str) -> str:
    """Return ``text`` with absolute paths cut to file names: a card is public, and paths name their owner."""
    return _PATH.sub(r"\1", text)
