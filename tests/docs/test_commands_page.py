"""docs/reference/commands.md is what the parsers take."""

from __future__ import annotations

import commands_page


def test_the_page_is_made_from_the_parsers() -> None:
    assert commands_page.PAGE.read_text() == commands_page.page(), "run `python tests/commands_page.py`"


def test_every_command_and_option_is_on_it() -> None:
    from lora_checks.__main__ import COMMANDS
    from lora_checks.gate.options import OPTIONS

    text = commands_page.PAGE.read_text()
    assert [name for name in COMMANDS if f"\n### {name}\n" not in text] == []
    assert [name for name in OPTIONS if f"| `{name} " not in text and f"| `{name}`" not in text] == []
    assert "%(" not in text
