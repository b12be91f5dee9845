"""Get images from the store, and generate those that are missing or damaged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lora_checks.core.records import ImageFile, ImageSpec, Lora
from lora_checks.core.store import Progress, Store
from lora_checks.diffusion.renderer import Renderer
from lora_checks.images import made, png

Blocks = Sequence[Sequence[int]]


def painted(
    store: Store,
    studio: Renderer,
    specs: Sequence[ImageSpec],
    names: Sequence[str],
    lora: Lora | None,
    blocks: Blocks,
    progress: Progress,
) -> tuple[ImageFile, ...]:
    """Return the images of ``specs``, in order; all are made with ``lora``, or all without if it is None.

    The images of each of ``blocks`` are generated together.
    """
    paths = [store.image(spec.digest) for spec in specs]
    before = made.of_other_versions(store, specs)
    how: dict[int, dict[str, Any]] = {}

    def make(block: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        start, seconds = time.monotonic(), 0.0
        rendered = studio.render([specs[i] for i in block], lora)
        for i, image in zip(block, rendered, strict=True):
            seconds = seconds or (time.monotonic() - start) / len(
                block
            )  # all are made before the first comes
            how[i] = {**image.how, "seconds": round(seconds, 3)}
            yield image.png

    def kept(i: int) -> None:
        # noted after storing: a kill in between costs a line, but never generates an image twice
        made.note(store, specs[i], how[i], before.get(specs[i].digest, ()))

    studio.prepare(specs, lora, blocks, progress)
    if before:
        store.say(made.upgrade(before, specs[0].versions))
    return tuple(
        store.fill_blocks(
            paths, lambda i: png.stored(paths[i], specs[i], names[i]), make, blocks, kept, progress
        )
    )


def blocks(names: Sequence[str], batch: int, looks: Sequence[Sequence[str]] = ()) -> list[list[int]]:
    """Divide images into blocks that are generated together, independent of what the store holds.

    Args:
        names: The names of the images; blocks follow their order.
        batch: The size of a block.
        looks: The images needed for each interim look, where a later look includes the earlier ones. No
            block spans two looks, so a later look never regenerates images of an earlier one.

    Returns:
        The indices of the images in each block.
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
