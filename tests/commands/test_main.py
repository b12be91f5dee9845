"""The command alone says what there is, and where to begin."""

from __future__ import annotations

import pytest

from lora_checks.__main__ import COMMANDS, main


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert all(f" {name} " in shown for name in COMMANDS)
    assert "Begin with `lora-checks demo`, or with `lora-checks init`" in shown
