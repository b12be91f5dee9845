"""``demo``: gate two LoRAs of the miniature, which comes with the package."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HELP = "gate a good and a bad LoRA of the built-in miniature: no GPU, no download, under two minutes"

LORAS = ("good", "overfit")
NEEDED = ("pytest", "torch")  # a light installation lacks both
PACKAGE = Path(__file__).parents[1]
PLACES = (PACKAGE / "miniature", PACKAGE.parent / "examples" / "miniature")  # in a wheel, in a clone


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("lora-checks-demo"),
        help="folder for images and the report (default: lora-checks-demo)",
    )


def run(options: argparse.Namespace) -> int:
    """Return 0 if the good LoRA passed and the other one did not."""
    for module in NEEDED:
        if find_spec(module) is None:
            raise ModuleNotFoundError(name=module)
    miniature, out = miniature_folder(), options.out
    command = ["pytest", "--lora-policy", str(miniature), "--lora-base", str(miniature / "pipeline")]
    for name in LORAS:
        command += ["--lora", str(miniature / "loras" / f"{name}.safetensors")]
    command += ["--lora-store", str(out / "store"), "--lora-report", str(out / "report")]
    out.mkdir(parents=True, exist_ok=True)
    print(f"$ {shlex.join(command)}", flush=True)
    arguments = [*command[1:], "-p", "no:cacheprovider", "--rootdir", str(out), "-o", "addopts="]
    # as a process of its own: pytest cannot run twice in one, and a project's settings are not the demo's
    subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False, env=_without_options())
    return _outcome(out / "report")


def miniature_folder() -> Path:
    """Return the folder of the miniature.

    Raises:
        ConfigError: This installation does not have it.
    """
    from lora_checks.core.errors import ConfigError

    for place in PLACES:
        if (place / "thresholds.yaml").is_file():
            return place
    raise ConfigError(f"the miniature is not in {PLACES[0]}; install the wheel of lora-checks again")


def _without_options() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}


def _outcome(report: Path) -> int:
    """Print what to read and do next; return 1 unless each LoRA got the verdict that it deserves."""
    from lora_checks.core.errors import LoraChecksError
    from lora_checks.record.document import read

    outcomes = {lora["name"]: lora["outcome"] for lora in read(report)["loras"]}
    if outcomes != dict(zip(LORAS, ("PASS", "FAIL"), strict=True)):
        raise LoraChecksError(f"the demo did not end as it should: {outcomes}")
    print(
        f"\nThe good LoRA passed; the overfit one copies its training pictures and was stopped.\n"
        f"See why: {report / 'report.html'}"
    )
    return 0
