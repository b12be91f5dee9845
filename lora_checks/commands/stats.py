"""``stats``: measure the mean and covariance of reference pictures once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lora_checks.commands import shared
from lora_checks.core.device import choose_device
from lora_checks.core.errors import ConfigError
from lora_checks.core.progress import on_stderr
from lora_checks.core.words import count

if TYPE_CHECKING:
    from lora_checks.core.records import ImageSet
    from lora_checks.networks import ImageExtractor

HELP = "measure reference pictures once; use the file with --lora-references"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        type=Path,
        metavar="PICTURES",
        help="a folder of pictures, .tar or .parquet files ('shards/{00000..00049}.tar'), or a saved dataset",
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT.npz", help="write mean and covariance there, in pytorch-fid's format"
    )
    parser.add_argument("--weights", type=Path, help="Inception weights, if not in torch's cache")
    parser.add_argument("--network", metavar="SLOT", help="a network of the policy, instead of Inception")
    parser.add_argument("--workers", type=int, metavar="N", help="threads (default: one for each processor)")
    shared.add_policy(parser)
    shared.add_store(parser)
    shared.add_device(parser)


def run(options: argparse.Namespace) -> int:
    from lora_checks.core.remote.place import open_store
    from lora_checks.images.sets import image_set
    from lora_checks.metrics.statistics_file import write_statistics

    if options.out.suffix != ".npz":  # before an hour of work, not after
        raise ConfigError(f"{options.out}: name a file that ends in .npz")
    if options.workers is not None and options.workers < 1:
        raise ConfigError(f"--workers {options.workers}: at least one thread is needed")
    place, device = shared.place(options), choose_device(options.device)
    store = open_store(place, device, say=lambda text: print(text, file=sys.stderr))
    network = _network(options, device, store.root / "models")
    pictures = image_set("references", options.source, store.known_digests.folder)
    progress = on_stderr(f"measuring with {network.label}")
    store.enter()
    try:
        stats = write_statistics(pictures.images, options.out, network, store, progress, options.workers)
    finally:
        store.leave()
    seen = f"{count(stats.n or 0, 'picture')} as {network.label} sees them"
    print(f"wrote {options.out}: {seen}{_twice(pictures)}")
    return 0


def _network(options: argparse.Namespace, device: str, cache: Path) -> ImageExtractor:
    from lora_checks import networks

    if not options.network:
        settings = {"file": str(options.weights.resolve())} if options.weights else {}
        return cast(networks.ImageExtractor, networks.build("inception", settings, device, cache=cache))
    from lora_checks.policy.reading import load_policy

    if options.weights:
        raise ConfigError("--weights are Inception's, and --network names another network; leave one out")
    declared = load_policy(options.policy, generates=False).networks
    if options.network not in declared:
        known = ", ".join(sorted(declared)) or "none"
        raise ConfigError(f"--network: the policy has no network '{options.network}' (it has {known})")
    network = networks.build(options.network, declared[options.network], device, cache=cache)
    if not isinstance(network, networks.ImageExtractor):
        raise ConfigError(f"--network: {options.network} compares pairs; name one that gives features")
    return network


def _twice(pictures: ImageSet) -> str:
    """Say how many pictures have the bytes of another one, and so count twice."""
    first: dict[str, str] = {}
    pairs = [(image.where, first.setdefault(image.sha256, image.where)) for image in pictures.images]
    copies = [pair for pair in pairs if pair[0] != pair[1]]
    if not copies:
        return ""
    there = "is the same file as another" if len(copies) == 1 else "are the same files as others"
    return f"; {len(copies)} {there} and counted again, as {copies[0][0]} and {copies[0][1]}"
