"""The pytest plugin: options, and where the gate lives.

Loaded in every pytest run of an environment that has the package, so it imports nothing but pytest; the
rest follows only when ``--lora`` or ``--images`` is given.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

GATE = Path(__file__).parent / "gate"
CHECKS = ("test_lora_file.py", "test_lora_applied.py", "test_lora_thresholds.py")
CHECKS_AGAINST = "test_lora_regression.py"  # with --baseline, where the policy limits a worsening
CHECKS_OF_IMAGES = ("test_lora_images.py", "test_lora_thresholds.py")  # made elsewhere
NEEDS_LORA = (
    *("policy", "thresholds", "prompts", "references", "base", "store", "report", "seeds", "scale"),
    "until_decided",
    "baseline",
    "log",
)
NEEDS_IMAGES = ("images_from", "images_made_with", "baseline_images")


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    _withdraw_earlier_verdict(pluginmanager)
    group = parser.getgroup("lora_checks", "LoRA release gate (lora_checks)")
    add = group.addoption
    add(
        "--lora",
        action="append",
        default=[],
        dest="lora",
        metavar="PATH",
        help="gate this LoRA: a .safetensors file, a folder of them, or a quoted pattern; repeatable",
    )
    add(
        "--lora-scale",
        dest="lora_scale",
        metavar="SCALES",
        help="gate every LoRA at each of these strengths, such as 0.6,0.8,1.0 (default: 1.0)",
    )
    add(
        "--with-lora",
        action="append",
        default=[],
        dest="lora_with",
        metavar="PATH",
        help="a LoRA that every image is made with, the base's too: PATH or PATH:0.7; repeatable",
    )
    add(
        "--images",
        action="append",
        dest="lora_images",
        metavar="DIR",
        help="gate the pictures of this folder, made elsewhere; nothing is generated; repeatable",
    )
    add(
        "--images-from",
        action="append",
        dest="lora_images_from",
        metavar="SPEC",
        help="their prompts and seeds: a pattern such as {prompt}_{seed}.png, or a CSV (default: metadata)",
    )
    add(
        "--lora-images-made-with",
        action="append",
        dest="lora_images_made_with",
        metavar="NAME",
        help="what the pictures call the file of --lora, where they say another name or digest",
    )
    add(
        "--baseline-images",
        action="append",
        dest="lora_baseline_images",
        metavar="DIR",
        help="pictures of the same prompts and seeds without the LoRA, made elsewhere too",
    )
    add(
        "--policy",
        dest="lora_policy",
        metavar="DIR",
        help="folder with thresholds.yaml and prompts.yaml (default: the current folder)",
    )
    add("--thresholds", dest="lora_thresholds", metavar="FILE", help="thresholds instead of the policy's")
    add("--prompts", dest="lora_prompts", metavar="FILE", help="prompts instead of the policy's")
    add(
        "--references",
        dest="lora_references",
        metavar="PATH",
        help="pictures of the subject instead of the policy's: a folder, or .npz statistics for FID",
    )
    add(
        "--base",
        dest="lora_base",
        metavar="MODEL",
        help="base model instead of the policy's: a pipeline folder or a hub id",
    )
    add(
        "--store",
        dest="lora_store",
        metavar="DIR",
        help="where images and measurements are kept (default: .lora_checks)",
    )
    add(
        "--report",
        dest="lora_report",
        metavar="DIR",
        help="where report.json and report.md go (default: report in the store)",
    )
    add(
        "--log",
        dest="lora_log",
        metavar="TRACKERS",
        help="log the report to one or more of wandb,mlflow,tensorboard,trackio; wandb:PROJECT says where",
    )
    add("--seeds", dest="lora_seeds", metavar="N", type=int, help="images per prompt (default: the policy's)")
    add(
        "--until-decided",
        dest="lora_until_decided",
        metavar="MAX",
        type=int,
        help="look after every batch, and go on until every row is decided or MAX images of a LoRA are made",
    )
    add(
        "--baseline",
        dest="lora_baseline",
        metavar="REPORT",
        help="report.json of the last approved release, to be no worse than; none where there is none yet",
    )
    add(
        "--device",
        dest="lora_device",
        default="auto",
        metavar="NAME",
        help="auto, cpu, cuda, cuda:1 or mps (default: auto)",
    )
    add(
        "--dtype",
        dest="lora_dtype",
        default="auto",
        choices=("auto", "float32", "float16", "bfloat16"),
        metavar="FORMAT",
        help="of the pipeline: float32, float16, bfloat16 or auto (default: auto, half on cuda only)",
    )
    add(
        "--batch-size",
        dest="lora_batch_size",
        default=None,
        type=int,
        metavar="N",
        help="images generated at a time (default: 8 on a CPU, 4 elsewhere); halved when memory is short",
    )
    add(
        "--offload",
        dest="lora_offload",
        default="none",
        choices=("none", "model", "sequential"),
        metavar="HOW",
        help="keep what does not compute off the accelerator: none, model or sequential (default: none)",
    )
    add(
        "--save-memory",
        dest="lora_save_memory",
        metavar="WAYS",
        help="one or more of vae-slicing,vae-tiling,attention-slicing; the last two change pixels a little",
    )


def _withdraw_earlier_verdict(pluginmanager: pytest.PytestPluginManager) -> None:
    """The first moment at which a plugin can act: what is wrong with the command is found only later."""
    config = pluginmanager.get_plugin("pytestconfig")
    if isinstance(config, pytest.Config):
        from lora_checks.gate import earlier

        earlier.withdraw(config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.option.lora_images is None:
        for name in NEEDS_IMAGES:
            if getattr(config.option, f"lora_{name}") is not None:
                raise pytest.UsageError(f"--{name.replace('_', '-')} is for --images DIR: say which pictures")
    if not _gates(config):
        given = [name for name in NEEDS_LORA if getattr(config.option, f"lora_{name}") is not None]
        if given:
            raise pytest.UsageError(
                f"--{given[0].replace('_', '-')} is for the LoRA gate: say which LoRA with --lora PATH "
                "or which pictures with --images DIR"
            )
        return
    from lora_checks.gate import fixtures, start

    own = _own_arguments(config)
    gating = start.start(config)
    checks = [*_checks(config), *([CHECKS_AGAINST] if gating.allowances else [])]
    config.args = [*(str(GATE / name) for name in checks), *own]
    config.pluginmanager.register(gating, "lora_checks.gate.session")
    config.pluginmanager.register(fixtures, "lora_checks.gate.fixtures")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, int | None, int | None]:
    """No way round the judging ends in status 0, be it `--fixtures` or an exit before the session starts; and
    what fails after the judging leaves no PASS."""
    try:
        status = yield
    except BaseException as error:
        _withdraw(config, f"{type(error).__name__} at its end: {error}")
        raise
    option = config.option
    if status == pytest.ExitCode.OK:
        judges = _gates(config) and not (option.help or option.version)
        return pytest.ExitCode.TESTS_FAILED if judges and not _passed(config) else status
    _withdraw(config, f"pytest ended with status {status}")
    return status


def _passed(config: pytest.Config) -> bool:
    from lora_checks.gate.session import SESSION

    gating = config.stash.get(SESSION, None)
    return gating is not None and gating.passed


def _withdraw(config: pytest.Config, reason: str) -> None:
    if _gates(config) and _passed(config):
        from lora_checks.gate.session import SESSION

        config.stash[SESSION].withdraw(reason)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without ``--lora`` or ``--images`` there is nothing to gate: `pytest lora_checks` collects nothing."""
    if not _gates(config) and (collection_path == GATE or GATE in collection_path.parents):
        return True
    return None


def _gates(config: pytest.Config) -> bool:
    return bool(config.option.lora) or config.option.lora_images is not None


def _checks(config: pytest.Config) -> tuple[str, ...]:
    if config.option.lora_images is None:
        return CHECKS
    return (*CHECKS[:1], *CHECKS_OF_IMAGES) if config.option.lora else CHECKS_OF_IMAGES


def _own_arguments(config: pytest.Config) -> list[str]:
    """Paths that were asked for by name; `testpaths` are another run's."""
    asked = config.args_source == pytest.Config.ArgsSource.ARGS
    return [argument for argument in config.args if asked and not argument.startswith(str(GATE))]
