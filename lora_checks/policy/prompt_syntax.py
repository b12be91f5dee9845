"""Syntax of other programs in a prompt: diffusers knows none of it, and paints it as words.

A1111 and Forge, ComfyUI, InvokeAI (compel), NovelAI, Midjourney, and wildcards (sd-dynamic-prompts). Ordinary
prose passes: parentheses within a sentence, ratios and times in them, apostrophes, quoted words, tags such as
``hatsune_miku_(vocaloid)``. Where prose and syntax look alike (a part between commas that stands in
parentheses as a whole, anything in square brackets or braces) it is called syntax: ``literal: true`` is soon
written, and pictures of the wrong words do not look wrong.
"""

from __future__ import annotations

import re

from lora_checks.policy.strict_yaml import Value

EVERYWHERE = "add 'literal: true' at the top of the file"  # where there is no entry to add it to
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_DECIMAL = r"[+-]?[0-9]*\.[0-9]+"
# What it is called, and how it is found; the first that is found is told.
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
# A part of the prompt in capitals; in a quotation it is what a sign says.
_PARTS = re.compile(r"(?<![\w'-])(?:BREAK|AND|ADDCOMM|ADDBASE|ADDROW|ADDCOL)(?![\w'-])")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']*'(?!\w)|‘[^’]*’")


def check_literal(value: Value, literal: bool, how: str) -> None:
    """Raises `ConfigError` for syntax of another program unless ``literal``; ``how`` says what allows it."""
    found = None if literal else syntax(value.text(empty=True))
    if found:
        kind, part = found
        raise value.error(
            f"'{part}' looks like {kind} of another program's prompts; diffusers knows no such syntax and "
            f"would paint the text as it stands: write it in plain words, or {how} if it is meant so"
        )


def syntax(text: str) -> tuple[str, str] | None:
    """What kind of syntax, and the part of the text that has it; None for prose."""
    text = " ".join(text.split())
    for kind, pattern in _KINDS:
        if match := pattern.search(text):
            return kind, match[0].strip(" ,")
    if text.upper() == text:  # a prompt all in capitals
        return None
    match = _PARTS.search(_QUOTED.sub(lambda quoted: " " * len(quoted[0]), text))
    return ("a keyword", match[0]) if match else None
