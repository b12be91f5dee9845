"""docs/reference/commands.md, made from the parsers: `python tests/commands_page.py` writes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from lora_checks import __main__ as shell
from lora_checks.gate import options

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "commands.md"
INTRODUCTION = """\
# Commands and options

`pytest --lora PATH` is the gate. `lora-checks COMMAND` has what comes before and after it.

## pytest

Every option starts with `--lora`. In a gating run the names of version 0.1 (`--policy`, `--device`) still
work, unless another plugin or a conftest.py defines them
([decision 32](../decisions/0032-options-begin-with-lora.md)).

Exit status: 0 if every required row of every LoRA was measured and passed, 1 if not, 4 if the policy, a file
name or an option is wrong. pytest's own 2 and 3 stand for an interruption and an internal error.
"""
COMMANDS = """\
## lora-checks

Exit status: 0 if all is well, 1 if the answer is no (a bad file, a row that cannot be calibrated), 2 if the
command or something that it reads is wrong.
"""


def page() -> str:
    """Return the page's text."""
    gate = argparse.ArgumentParser(prog="pytest", add_help=False)
    for name, attributes in options.OPTIONS.items():
        gate.add_argument(name, dest=options.destination(name), **attributes)
    parts = [INTRODUCTION, _table(gate), COMMANDS]
    for name, (summary, parser) in _commands().items():
        table = _table(parser)
        sentence = _cell(summary[0].upper() + summary[1:])
        parts.append(f"### {name}\n\n{sentence}.\n" + (f"\n{table}" if table else ""))
        parts += [f"#### {name} {inner}\n\n{_table(own)}" for inner, own in _inner(parser).items()]
    return "\n".join(parts)


def _commands() -> dict[str, tuple[str, argparse.ArgumentParser]]:
    (action,) = _subparsers(shell._parser())
    summaries = {choice.dest: str(choice.help) for choice in action._choices_actions}
    return {name: (summaries[name], parser) for name, parser in action.choices.items()}


def _inner(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {name: own for action in _subparsers(parser) for name, own in action.choices.items()}


def _subparsers(parser: argparse.ArgumentParser) -> list[argparse._SubParsersAction]:
    return [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]


def _table(parser: argparse.ArgumentParser) -> str:
    rows = [_row(action) for action in _shown(parser._actions)]
    return "\n".join(["| option | meaning |", "|---|---|", *rows, ""]) if rows else ""


def _shown(actions: Iterable[argparse.Action]) -> list[argparse.Action]:
    hidden = (argparse._HelpAction, argparse._SubParsersAction)
    shown = [action for action in actions if action.help != argparse.SUPPRESS]
    return [action for action in shown if not isinstance(action, hidden)]


def _row(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {_value(action)}"
    names = [f"`{name}{value}`" for name in action.option_strings] or [f"`{_value(action)}`"]
    needed = "; required" if action.required and action.option_strings else ""
    return f"| {', '.join(names)} | {_cell(_help(action))}{needed} |"


def _help(action: argparse.Action) -> str:
    return str(action.help or "") % vars(action)


def _value(action: argparse.Action) -> str:
    """As ``--help`` names it: the metavar, the choices, or the destination."""
    if action.metavar:
        return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    return ",".join(map(str, action.choices)) if action.choices else action.dest.upper()


def _cell(text: str) -> str:
    """Text in a table of Markdown."""
    return text.replace("|", r"\|").replace("<", r"\<").replace("*", r"\*")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
