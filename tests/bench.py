"""One base twice: with a file merged into its weights by the reference, and put on by the gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kinds
import layouts
import merging
import numpy as np
from acting import Acts, acts, adapted, differing
from families import load, paint

from lora_checks.diffusion import apply
from lora_checks.lora.file import inspect

PROMPT = "a red shirt"
TOLERANCE, EFFECT = 1e-4, 1e-2  # of pixels in [0, 1]
CHANGED = 2e-2  # of a layer's largest answer, at the least, where a file changes the layer


class Bench:
    """The pipelines of one base, so that each is loaded once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.plain = load(folder)
        self.base = paint(self.plain, PROMPT)
        self.acts = acts(self.plain, self.plain)
        self._weights = {
            name: {key: value.clone() for key, value in part.state_dict().items()}
            for name, part in layouts.parts(self.plain).items()
        }
        self._used: Any = None

    def build(self, kind: str, path: Path) -> Path:
        kinds.build(kind, self.plain, path)
        kinds.take_off(self.plain)
        return path

    @contextmanager
    def merged(self, path: Path, strength: float = 1.0) -> Iterator[Any]:
        """The pipeline with the file in its weights, for a moment."""
        merging.merge(self.plain, path, strength)
        yield self.plain
        self.restore()

    def restore(self) -> None:
        """Give the plain pipeline the base's weights again."""
        for name, part in layouts.parts(self.plain).items():
            part.load_state_dict(self._weights[name])

    def picture(self, path: Path, strength: float = 1.0) -> np.ndarray:
        """What the merged pipeline paints."""
        with self.merged(path, strength) as pipe:
            return paint(pipe, PROMPT)

    @contextmanager
    def pipeline(self) -> Iterator[Any]:
        """The one that LoRAs are put on and taken off; a new one after any error."""
        pipe, self._used = self._used or load(self._folder), None
        yield pipe
        self._used = pipe


def check_layers(bench: Bench, pipe: Any, path: Path) -> apply.Adapter:
    """At full and at half strength all layers act as merged; without, and taken off, as the base."""
    adapter = apply.load(pipe, inspect(path, "lora"), "lora")
    with bench.merged(path) as merged:
        whole = acts(merged, bench.plain)
    assert (
        differing(whole, bench.acts, CHANGED)
        == differing(whole, bench.acts, 0)
        == merging.layers(bench.plain, path)
    )
    for strength, wanted in ((1.0, whole), (0.5, half(whole, bench.acts))):
        apply.activate(pipe, {"lora": strength})
        assert differing(acts(pipe, bench.plain), wanted) == set()
    apply.activate(pipe, {})
    assert differing(acts(pipe, bench.plain), bench.acts, 0) == set()
    apply.remove(pipe, "lora")
    assert adapted(pipe) == []
    assert differing(acts(pipe, bench.plain), bench.acts, 0) == set()
    return adapter


def half(whole: Acts, base: Acts) -> Acts:
    """A linear layer answers for half of its change by half of the way."""
    return {
        name: (whole[name] + base[name]) / 2 if whole[name].is_floating_point() else whole[name]
        for name in base
    }


def check_images(bench: Bench, pipe: Any, path: Path, strengths: Sequence[float] = (1.0, 0.5)) -> None:
    """At each strength as merged; without strength, and taken off, the base bit for bit."""
    apply.load(pipe, inspect(path, "lora"), "lora")
    for strength in strengths:
        apply.activate(pipe, {"lora": strength})
        merged = bench.picture(path, strength)
        assert np.abs(merged - bench.base).max() > EFFECT
        assert np.abs(paint(pipe, PROMPT) - merged).max() <= TOLERANCE
    apply.activate(pipe, {})
    assert (paint(pipe, PROMPT) == bench.base).all()
    apply.remove(pipe, "lora")
    assert (paint(pipe, PROMPT) == bench.base).all()
