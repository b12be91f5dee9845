"""Detect other programs' prompt syntax, which diffusers does not know and would paint as words.

Covers A1111 and Forge, ComfyUI, InvokeAI (compel), NovelAI, Midjourney, and wildcards (sd-dynamic-prompts).
Ordinary prose passes: parentheses within a sentence, ratios and times in them, apostrophes, quoted words,
tags such as ``hatsune_miku_(vocaloid)``. Where prose and syntax look alike (a part between commas that is
entirely in parentheses, anything in square brackets or braces) it counts as syntax: adding ``literal: true``
is easy, while images of the wrong words do not look wrong.
"""

from __future__ import annotations

import re

from lora_checks.policy.strict_yaml import Value

EVERYWHERE = (
    "add 'literal: true' at the top of the file"  # for values outside an entry that could take the key
)
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_DECIMAL = r"[+-]?[0-9]*\.[0-9]+"
# Name and pattern of each kind of syntax; the first match is reported.
_KINDS = (
    ("a tag that loads a network", re.compile(r"<\s*\w+\s*:[^<>]*>")),
    ("the token of a trained embedding, which is not loaded,", re.compile(r"<[^\s<>:]+>")),
    ("an embedding, which is not loaded,", re.compile(r"(?<!\w)embedding:\S+", re.IGNORECASE)),
    ("an escaped parenthesis", re.compile(r"\\[()\[\]{}<>|:]")),
    # "(word:1.3)" and "(word:2)", but neither "(16:9)" nor "(at 10:30)"
    (
        "a weight",
        re.compile(
            rf"\([^()]*:\s*{_DECIMAL}\s*\)|\([^()]*[^\s\d()]\s*:\s*{_NUMBER}\s*\)|\):\s*{_NUMBER}\s*\)"
        ),
    ),
    ("a weight", re.compile(rf"\)(?:\++|-+|{_DECIMAL})(?=[\s,.;)]|$)|(?<!\w)\w{{2,}}\+{{2,}}(?=[\s,.;)]|$)")),
    ("a weight", re.compile(rf"::\s*{_NUMBER}?(?=[\s,]|$)")),
    ("emphasis", re.compile(r"\(\s*\(")),
    ("emphasis", re.compile(r"(?:^|,)\s*\([^()]+\)\s*(?=,|$)")),
    ("alternation", re.compile(r"\[[^\[\]]*\|[^\[\]]*\]")),
    ("scheduling", re.compile(r"\[[^\[\]]*:[^\[\]]*\]")),
    ("emphasis", re.compile(r"\[[^\[\]]*\]")),
    ("a choice of words", re.compile(r"\{[^{}]*\|[^{}]*\}")),
    ("a placeholder or emphasis", re.compile(r"\{[^{}]*\}")),
    ("a wildcard", re.compile(r"__[^\s_](?:[^\s]*?[^\s_])?__")),
    (
        "an option of Midjourney",
        re.compile(r"(?<!\S)--(?:ar|aspect|v|version|no|s|stylize|style|seed|niji|c|q|iw|w)\b"),
    ),
)
# Keywords in capitals; inside quotation marks they are ordinary text, such as on a sign.
_PARTS = re.compile(r"(?<![\w'-])(?:BREAK|AND|ADDCOMM|ADDBASE|ADDROW|ADDCOL)(?![\w'-])")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']*'(?!\w)|‘[^’]*’")


def check_literal(value: Value, literal: bool, how: str) -> None:
    """Raise `ConfigError` for syntax of another program.

    Args:
        value: The text to check.
        literal: Whether the policy says that the text is meant literally; then nothing is checked.
        how: What the user must write to allow the text, for the message.
    """
    match = None if literal else syntax(value.text(empty=True))
    if match:
        kind, part = match
        raise value.error(
            f"'{part}' looks like {kind} of another program's prompts; diffusers knows no such syntax and "
            f"would paint the text as it stands: write it in plain words, or {how} if it is meant so"
        )


def syntax(text: str) -> tuple[str, str] | None:
    """Return the kind of syntax and the part of the text that contains it; None for prose."""
    text = " ".join(text.split())
    for kind, pattern in _KINDS:
        if match := pattern.search(text):
            return kind, match[0].strip(" ,")
    if text.upper() == text:  # a prompt all in capitals
        return None
    match = _PARTS.search(_QUOTED.sub(lambda quoted: " " * len(quoted[0]), text))
    return ("a keyword", match[0]) if match else None
