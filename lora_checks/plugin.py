"""The pytest plugin: the gate's options, and the start of a gating run.

It is loaded in every pytest run of an environment that has the package, so it imports little more than
pytest; the rest is imported only with ``--lora`` or ``--lora-images``.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from lora_checks.gate import command_line, options, restart

GATE = Path(__file__).parent / "gate"
CHECKS = ("test_lora_file.py", "test_lora_applied.py", "test_lora_thresholds.py")
CHECKS_AGAINST = "test_lora_regression.py"  # with --lora-baseline, if the policy has `regression:`
CHECKS_OF_IMAGES = ("test_lora_images.py", "test_lora_thresholds.py")  # for pictures made elsewhere


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    _withdraw_earlier_verdict(pluginmanager)
    options.add_options(parser)
    config: Any = pluginmanager.get_plugin("pytestconfig")
    if any(
        str(getattr(plugin, "__file__", "")).endswith("conftest.py") for plugin in pluginmanager.get_plugins()
    ):
        # Loaded by `pytest_plugins` in a conftest.py, after `pytest_load_initial_conftests` was called.
        arguments = [*config.getini("addopts"), *restart.asked(config)]
        options.add_bare(parser, command_line.bare_names(parser, arguments))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, None, None]:
    """Take the bare names that nobody else defines; that is known when every conftest.py is loaded."""
    asked, arguments = restart.asked(early_config), tuple(args)
    if restart.needed(early_config, parser, asked):
        args.clear()
        return (yield)
    if bare := command_line.bare_names(parser, arguments):
        # pytest takes the folder of `--store DIR` for tests, and would load its conftest.py
        known = parser.parse_known_args(command_line.joined(command_line.expanded(arguments), bare))
        early_config.known_args_namespace.file_or_dir = known.file_or_dir
    yield
    args[:], elsewhere = command_line.read(parser, arguments, asked)
    if elsewhere:
        raise pytest.UsageError(
            f"{elsewhere} belongs to another plugin or to a conftest.py here, so the gate did not get it: "
            f"write {options.BARE[elsewhere]}, or both where both are meant"
        )


def _withdraw_earlier_verdict(pluginmanager: pytest.PytestPluginManager) -> None:
    """Remove an earlier run's verdict now, in the first hook: the command may turn out to be wrong later."""
    config = pluginmanager.get_plugin("pytestconfig")
    if isinstance(config, pytest.Config):
        from lora_checks.gate import earlier

        earlier.withdraw(config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if wrong := options.out_of_place(config.option):
        raise pytest.UsageError(wrong)
    if not options.gates(config.option):
        return
    from lora_checks.gate import fixtures, row_hooks, start

    own = _own_arguments(config)
    gating = start.start(config)
    checks = [*_checks(config), *([CHECKS_AGAINST] if gating.allowances else [])]
    # With the checks collected, pytest would list each fixture again, and it cannot sort the copies.
    config.args = [
        *([] if getattr(config.option, "showfixtures", False) else (str(GATE / name) for name in checks)),
        *own,
    ]
    config.pluginmanager.register(row_hooks.RowHooks(gating.record), "lora_checks.gate.row_hooks")
    config.pluginmanager.register(fixtures, "lora_checks.gate.fixtures")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, int | None, int | None]:
    """Return 0 only for a run that judged and passed; a failure after judging leaves no PASS.

    Options such as `--fixtures`, or an exit before the session starts, skip the judging.
    """
    try:
        status = yield
    except BaseException as error:
        _withdraw(config, f"{type(error).__name__} at its end: {error}")
        raise
    option = config.option
    if status == pytest.ExitCode.OK:
        if not options.gates(config.option) or option.help or option.version or _passed(config):
            return status
        if not _judged(config):
            sys.stderr.write(
                "Nothing was judged, so this is not a PASS; "
                "to gate, leave out options that only list, or that deselect every row\n"
            )
        return pytest.ExitCode.TESTS_FAILED
    _withdraw(config, f"pytest ended with status {status}")
    return status


def _passed(config: pytest.Config) -> bool:
    from lora_checks.gate.session import SESSION

    gating = config.stash.get(SESSION, None)
    return gating is not None and gating.passed


def _judged(config: pytest.Config) -> bool:
    from lora_checks.gate.session import SESSION

    gating = config.stash.get(SESSION, None)
    return gating is not None and bool(gating.record.ledger.verdicts)


def _withdraw(config: pytest.Config, reason: str) -> None:
    if options.gates(config.option) and _passed(config):
        from lora_checks.gate.session import SESSION

        config.stash[SESSION].withdraw(reason)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collect none of the gate's checks without ``--lora`` or ``--lora-images``."""
    if not options.gates(config.option) and (collection_path == GATE or GATE in collection_path.parents):
        return True
    return None


def _checks(config: pytest.Config) -> tuple[str, ...]:
    if config.option.lora_images is None and config.option.lora_source is None:
        return CHECKS
    return (*CHECKS[:1], *CHECKS_OF_IMAGES) if config.option.lora else CHECKS_OF_IMAGES


def _own_arguments(config: pytest.Config) -> list[str]:
    """Return the paths on the command line; `testpaths` belong to the project's ordinary runs."""
    asked = config.args_source == pytest.Config.ArgsSource.ARGS
    return [argument for argument in config.args if asked and not argument.startswith(str(GATE))]
