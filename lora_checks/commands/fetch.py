"""``fetch``: download what a policy needs, sizes first."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lora_checks.commands import shared

if TYPE_CHECKING:
    from lora_checks.core.records import Base
    from lora_checks.networks.fetching import Download

HELP = "download the base and the networks of a policy; --to makes a folder for machines without internet"


def add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    shared.add_policy(parser)
    shared.add_base(parser)
    add("--to", type=Path, metavar="KIT", help="folder for all of it; a run takes it by --lora-offline KIT")
    add("--dry-run", action="store_true", help="only say what would be downloaded")


@dataclass(frozen=True, slots=True)
class BaseDownload:
    """The base of a policy, as a `Download`."""

    base: Base

    @property
    def name(self) -> str:
        return self.base.model

    def here(self) -> bool:
        from lora_checks.diffusion.base import present

        return present(self.base) is not None

    def size(self) -> int | None:
        from lora_checks.diffusion.base.remote import size

        return size(self.base)

    def get(self) -> None:
        from lora_checks.diffusion.base import resolve

        resolve(self.base)


def run(options: argparse.Namespace) -> int:
    """Return 1 if something could not be downloaded; the rest is."""
    from lora_checks.core import kit
    from lora_checks.core.errors import PrerequisiteError

    if options.to:
        options.to.mkdir(parents=True, exist_ok=True)
        kit.use(options.to, offline=False)
    missing = missing_of(options)
    _announce(missing)
    failed = 0
    for download in [] if options.dry_run else missing:
        print(f"fetching {download.name}", flush=True)
        try:
            download.get()
        except PrerequisiteError as error:
            print(f"error: {error}", flush=True)
            failed += 1
    if options.to and missing and not failed and not options.dry_run:
        print(f"carry {options.to} along; a run takes it by: pytest --lora-offline {options.to} ...")
    return int(bool(failed))


def missing_of(options: argparse.Namespace) -> list[Download]:
    """Return what the policy of ``--policy`` needs, can be downloaded, and is not on this machine."""
    from lora_checks.networks.fetching import downloads
    from lora_checks.policy.reading import load_policy

    policy = load_policy(options.policy, base=options.base)
    wanted = [BaseDownload(policy.prompts.base), *downloads(policy.networks)]
    return [download for download in wanted if not download.here()]


def _announce(missing: Sequence[Download]) -> None:
    from lora_checks.core.memory import gib

    if not missing:
        print("everything is here")
        return
    sizes = [(download.name, download.size()) for download in missing]
    for name, size in sizes:
        print(f"{name}: {'size not known' if size is None else gib(size)}")
    known = sum(size or 0 for _, size in sizes)
    more = " and what is not known" if any(size is None for _, size in sizes) else ""
    print(f"{len(missing)} to fetch, {gib(known)}{more}", flush=True)
