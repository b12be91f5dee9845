"""Define what renders images: the pipeline of this process (`generate.Studio`), or workers elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from lora_checks.core.records import ImageSpec, Lora, Proof
from lora_checks.core.store import Progress
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.generate import Rendered


class Renderer(Protocol):
    """Render images and prove LoRAs, on one device or on many."""

    memory: Memory

    def prepare(
        self,
        specs: Sequence[ImageSpec],
        lora: Lora | None,
        blocks: Sequence[Sequence[int]],
        progress: Progress,
    ) -> None:
        """Put images into the store before they are asked for one block after the other, if it can."""
        ...

    def render(self, specs: Sequence[ImageSpec], lora: Lora | None) -> Iterator[Rendered]:
        """Generate an image for each spec in one batch; see `generate.Studio.render`."""
        ...

    def prove(self, lora: Lora, others: Sequence[Lora]) -> Proof:
        """Prove that ``lora`` does on the base what its file says, with ``others`` active too."""
        ...

    def try_settings(self) -> None:
        """Prove that the base alone does what the policy's settings say."""
        ...

    def crowded(self) -> bool:
        """Return whether the device has no room for the measuring networks beside the weights."""
        ...

    def rest(self) -> None:
        """Make room for the measuring networks."""
        ...


@runtime_checkable
class ManyRenderers(Renderer, Protocol):
    """A renderer that works on what comes later while this process measures."""

    def submit(
        self, specs: Sequence[ImageSpec], lora: Lora | None, blocks: Sequence[Sequence[int]], order: int
    ) -> object:
        """Begin to make what the store lacks, the lowest ``order`` first; do not wait for it."""
        ...

    def ahead(self, work: Callable[[], Iterable[None]]) -> None:
        """Run ``work``, which submits one LoRA at each step, as long as few of its images are waiting."""
        ...
