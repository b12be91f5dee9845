"""The images of some specs: from the store, and made where it lacks them or has damaged ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lora_checks.core.records import ImageFile, ImageSpec, Lora
from lora_checks.core.store import Progress, Store
from lora_checks.diffusion.generate import Studio
from lora_checks.images import made, png

Blocks = Sequence[Sequence[int]]


def painted(
    store: Store,
    studio: Studio,
    specs: Sequence[ImageSpec],
    names: Sequence[str],
    lora: Lora | None,
    blocks: Blocks,
    progress: Progress,
) -> tuple[ImageFile, ...]:
    """In the order of ``specs``, which are all with ``lora`` or all without; ``blocks`` are made together."""
    paths = [store.image(spec.digest) for spec in specs]
    before = made.of_other_versions(store, specs)
    how: dict[int, dict[str, Any]] = {}

    def make(block: Sequence[int]) -> Iterator[bytes]:
        rendered = studio.render([specs[i] for i in block], lora)
        for i, one in zip(block, rendered, strict=True):
            how[i] = one.how
            yield one.png

    def kept(i: int) -> None:
        # after it was stored: a kill between the two costs a line, never an image made twice
        made.note(store, specs[i], how[i], before.get(specs[i].digest, ()))

    if before:
        store.say(made.upgrade(before, specs[0].versions))
    return tuple(
        store.fill_blocks(
            paths, lambda i: png.stored(paths[i], specs[i], names[i]), make, blocks, kept, progress
        )
    )


def blocks(names: Sequence[str], batch: int, looks: Sequence[Sequence[str]] = ()) -> list[list[int]]:
    """Which of the images ``names`` are made together: ``batch`` at a time by their place in the list alone,
    whatever the store has.

    ``looks`` are the names that each of several looks asks for, the earlier among the later ones: what an
    earlier look has made is never made again for a later one's sake.
    """
    first_look: dict[str, int] = {}
    for look, asked in enumerate(looks):
        for name in asked:
            first_look.setdefault(name, look)
    by_look: dict[int, list[int]] = {}
    for i, name in enumerate(names):
        by_look.setdefault(first_look.get(name, 0), []).append(i)
    return [
        together[start : start + batch]
        for _, together in sorted(by_look.items())
        for start in range(0, len(together), batch)
    ]
