"""Keep ``made.jsonl`` in the store: a line for each image, in the order of making, with its run."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from statistics import median
from typing import Any

from lora_checks.core.records import ImageSpec, digest
from lora_checks.core.store import Store, read_lines
from lora_checks.core.words import count
from lora_checks.images.plan import SEAT

FILE = "made.jsonl"
RUN = "LORA_CHECKS_RUN"  # environment variable that the processes of a run share


_RUN: ContextVar[str] = ContextVar("run", default="")


def this_run() -> str:
    """Return a name that only the processes of one run share, so that other runs' images are not counted."""
    return _RUN.get() or os.environ.setdefault(RUN, uuid.uuid4().hex)


@contextmanager
def another_run() -> Iterator[None]:
    """Count the images made inside the block as those of a separate run of this process."""
    token = _RUN.set(uuid.uuid4().hex)
    try:
        yield
    finally:
        _RUN.reset(token)


def note(store: Store, spec: ImageSpec, how: Mapping[str, Any], before: Sequence[str] = ()) -> None:
    """Record that an image was made; ``before`` are other versions with which the store already has it."""
    line = {"image": spec.digest, "process": os.getpid(), "run": this_run(), **how}
    line |= {"picture": _unversioned(spec), "versions": list(spec.versions), "cost": cost_class(spec)}
    store.append(store.root / FILE, line | ({"before": list(before)} if before else {}))


def cost_class(spec: ImageSpec) -> str:
    """Return the same text for images that take the same time on one machine."""
    memory = tuple(name for name in spec.memory if not name.startswith(SEAT))
    return digest([spec.base, spec.device, spec.dtype, spec.sampler, memory])[:16]


def seconds(store: Store, spec: ImageSpec) -> float | None:
    """Return the median time of an image like this one; None if the store has made none."""
    like = cost_class(spec)
    times = [
        line["seconds"]
        for line in read_lines(store.root / FILE)
        if line.get("cost") == like and "seconds" in line
    ]
    return median(times) if times else None


def size(store: Store) -> int:
    """Return the file's size in bytes; lines beyond it are about images made later."""
    path = store.root / FILE
    return path.stat().st_size if path.exists() else 0


def summary(store: Store, start: int) -> dict[str, Any]:
    """Return what this run made since the file had ``start`` bytes."""
    lines = [line for line in read_lines(store.root / FILE, start) if line.get("run") == this_run()]
    fewer = {line["resident_loras"] for line in lines if "resident_loras" in line}  # memory was short
    upgraded = [line for line in lines if "before" in line]
    before = Counter(", ".join(_differing(line["before"], line["versions"])) for line in upgraded)
    return {
        "images": len(lines),
        "batch_sizes": sorted({line["batch"] for line in lines if "batch" in line}),
        "vae_dtypes": sorted({line["vae_dtype"] for line in lines if "vae_dtype" in line}),
        **({"resident_loras": min(fewer)} if fewer else {}),
        **({"made_before_with": dict(before)} if before else {}),
    }


def of_other_versions(store: Store, specs: Sequence[ImageSpec]) -> dict[str, tuple[str, ...]]:
    """Return, for each spec that the store lacks, other versions with which it has the same picture."""
    store.bring([store.image(spec.digest) for spec in specs], fresh=False)
    absent = {_unversioned(spec): spec for spec in specs if not store.image(spec.digest).exists()}
    found: dict[str, tuple[str, ...]] = {}
    for line in read_lines(store.root / FILE) if absent else ():
        spec = absent.get(str(line.get("picture")))
        if spec is not None and line["image"] != spec.digest and store.image(line["image"]).exists():
            found[spec.digest] = tuple(line["versions"])
    return found


def upgrade(versions_by_spec: Mapping[str, Sequence[str]], now: Sequence[str]) -> str:
    """Return a sentence about `of_other_versions`; "" if there are none."""
    if not versions_by_spec:
        return ""
    before = sorted({name for versions in versions_by_spec.values() for name in _differing(versions, now)})
    fresh = sorted({name for versions in versions_by_spec.values() for name in _differing(now, versions)})
    return (
        f"the store has {count(len(versions_by_spec), 'image')} of this run made with {', '.join(before)}; "
        f"with {', '.join(fresh)} the pixels may differ, so they are made again (remove the old ones with "
        "`python -m lora_checks store gc --unmatched`)"
    )


def _differing(versions: Sequence[str], others: Sequence[str]) -> list[str]:
    return [name for name in versions if name not in others]


def _unversioned(spec: ImageSpec) -> str:
    return replace(spec, versions=()).digest
