"""Compare what each layer adds on the pipeline with what the formula gives for the file's values.

Both sides are computed on two kinds of inputs: rows of what reached the layer in a real forward, and
Gaussian noise of the same size. Noise weighs every column of the change alike, so the distance on it is
that of the weights; real inputs may be all but blind to some columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lora_checks.core.errors import GenerationError
from lora_checks.core.memory import give_back
from lora_checks.diffusion.apply.placement import Placed
from lora_checks.diffusion.proof import arithmetic, formulas
from lora_checks.diffusion.proof.module import (
    base_weight,
    beside,
    channels,
    contribution,
    dtype_of,
    operate,
    output_like,
)
from lora_checks.diffusion.quantised import weights
from lora_checks.lora.header import shown

ROWS = 8  # rows of a linear layer's input, of each kind
SIDE = 4  # rows and columns of a convolution's input: more than its kernel's 3
# Relative distance allowed where the pipeline holds the adapter in float32; the formula, which is computed
# in float32 too, is itself right to about 1e-6.
TOLERANCE = 1e-4
# float32's rounding of the whole weight that a DoRA stands for, relative to the layer's output: 2 units.
NOISE = 2.0**-22
# Relative distance allowed where the pipeline holds the adapter in half precision. Rounding to bfloat16
# moves a number by up to 2^-8 of itself, by 0.4 of that on average. An effect is a product of two (LoRA) to
# six (Tucker LoHa) such numbers, and their errors are independent: together they are about one unit of 2^-8
# (measured: 0.9 for LoRA, 2.3 for a LoKr of few numbers), and four are allowed. float16 rounds eight times
# finer, but its numbers end at 6e-8: an effect that loses more than this to that end is not the file's.
ROUNDING = 2.0**-6


@dataclass(frozen=True, slots=True)
class Spot:
    """One module of the pipeline that a layer of the file changes."""

    component: str
    path: str  # inside the component
    module: Any  # PEFT's wrapper of the base's module


def rows(module: Any, x: Any) -> Any:
    """Return some of a module's input in float64 on the CPU.

    Of a linear layer's it is (ROWS, in), of a convolution's (1, in, SIDE, SIDE), a video's with one more.
    """
    import torch

    x = x.detach()
    if len(weights.shape(module.get_base_layer())) == 2:
        flat = x.reshape(-1, x.shape[-1])
        picked = torch.linspace(0, len(flat) - 1, ROWS).round().long()
        return flat[picked.to(flat.device)].cpu().double()
    corner = x[:1, :, *(slice(SIDE),) * (x.ndim - 2)].cpu().double()
    lacking = [(0, SIDE - side) for side in reversed(corner.shape[2:])]
    return torch.nn.functional.pad(corner, [amount for pair in lacking for amount in pair])


def with_noise(real: Any) -> Any:
    """``real``, and as many rows of Gaussian noise of the same mean square, the same in every run.

    Zero stands for what is not finite: a layer is not to blame for the one before it.
    """
    import torch

    real = real.nan_to_num(0.0, 0.0, 0.0)
    drawn = torch.randn(real.shape, generator=torch.Generator("cpu").manual_seed(0), dtype=torch.float64)
    return torch.cat([real, drawn * (float(real.square().mean().sqrt()) or 1.0)])


class Inspector:
    """Compares the layers of one adapter at one strength and keeps the largest relative error."""

    def __init__(
        self, file: str, names: Collection[str], tensors: Mapping[str, Any], strength: float
    ) -> None:
        self._file, self._names, self._tensors, self._strength = file, names, tensors, strength
        self.worst = 0.0

    def check(
        self,
        placed: Placed,
        spots: Sequence[Spot],
        real: Sequence[Any],
        passes: Sequence[arithmetic.Pass | None] = (),
    ) -> None:
        """Check the modules of one layer of the file.

        Args:
            placed: The layer.
            spots: Its modules.
            real: Of each what `rows` gave.
            passes: Of each quantised one its pass through the network.

        Raises:
            GenerationError: One is not as the file says; the message names the layer.
        """
        inputs = [with_noise(x) for x in real]
        pairs = list(zip(spots, inputs, strict=True))
        found = [contribution(spot.module, self._names, x) for spot, x in pairs]
        # In float32, as the pipeline computes at best: 1e-60 is something in float64 alone.
        if not placed.layer.dead and not any(on.float().count_nonzero() for on, _ in found):
            raise self._error(placed, spots[0], "adds nothing, though the file's numbers for it are not zero")
        expected = self._expected(placed, spots, inputs)
        for spot, (on, off), wanted in zip(spots, found, expected, strict=True):
            self._compare(placed, spot, on.chunk(2), off.chunk(2), wanted.chunk(2))
        for spot, seen, wanted in zip(spots, passes, expected, strict=bool(passes)):
            if seen is not None:
                self._hold(placed, spot, seen, wanted.chunk(2)[0])
        give_back()

    def _expected(self, placed: Placed, spots: Sequence[Spot], inputs: Sequence[Any]) -> list[Any]:
        """Compute the effect on each spot's input from the file's values, in float64."""
        bases = [spot.module.get_base_layer() for spot in spots]
        weight = base_weight(placed.layer, [spot.module for spot in spots])
        factors = formulas.factors(placed.layer, self._tensors, weight)
        if factors is None:
            effects = self._in_pieces(placed, bases, inputs, weight)
        else:
            ups = split(placed, placed.layer.scaling * factors.up)
            effects = [through(base, up, factors, x) for base, up, x in zip(bases, ups, inputs, strict=True)]
        bias = formulas.bias_change(placed.layer, self._tensors)
        if bias is not None:
            for effect, shift in zip(effects, split(placed, bias.double()), strict=True):
                effect += beside(shift, effect)
        return [self._strength * effect for effect in effects]

    def _in_pieces(
        self, placed: Placed, bases: Sequence[Any], inputs: Sequence[Any], weight: Any
    ) -> list[Any]:
        """Compute the effect some rows of the weight's change at a time."""
        effects = [output_like(base, x) for base, x in zip(bases, inputs, strict=True)]
        for at, change in formulas.weight_changes(placed.layer, self._tensors, weight):
            for span in spans(placed, at):
                base = bases[span.index]
                some = change[span.piece].double().reshape(-1, *weights.shape(base)[1:])
                found = operate(base, some, inputs[span.index])
                effects[span.index].narrow(channels(found), span.row, len(some)).copy_(found)
        return effects

    def _compare(
        self, placed: Placed, spot: Spot, on: Sequence[Any], off: Sequence[Any], wanted: Sequence[Any]
    ) -> None:
        """Each of real inputs and noise."""
        exact = self._exact(spot)
        sizes = [float(part.norm()) for part in wanted]
        # The effect on real inputs may be small because of all that cancels out in it, its error not.
        for kind, scale in ((0, max(sizes)), (1, sizes[1])):
            distance = float((on[kind] - wanted[kind]).norm())
            allowed = (TOLERANCE if exact else ROUNDING) * scale + NOISE * float(off[kind].norm())
            if not distance <= allowed:  # also refuses NaN
                hint = "" if exact else "; if its numbers are very small, pass --lora-dtype float32"
                raise self._error(placed, spot, difference(on[kind], wanted[kind]) + hint)
        if sizes[1]:
            self.worst = max(self.worst, distance / sizes[1])

    def _hold(self, placed: Placed, spot: Spot, seen: arithmetic.Pass, wanted: Any) -> None:
        """Hold a quantised layer's own arithmetic against its dequantised weight."""
        tolerance = TOLERANCE if self._exact(spot) else ROUNDING
        if why := arithmetic.complaint(spot.module, seen, self._names, wanted, tolerance):
            raise self._error(placed, spot, why)

    def _exact(self, spot: Spot) -> bool:
        """Return whether the pipeline holds the adapter in float32."""
        import torch

        return bool(dtype_of(spot.module, self._names) == torch.float32)

    def _error(self, placed: Placed, spot: Spot, what: str) -> GenerationError:
        where = f"layer {shown(placed.layer.name)} on {spot.component} {spot.path}"
        return GenerationError(f"{self._file}: {where} {what}")


def through(base: Any, up: Any, factors: formulas.Factors, x: Any) -> Any:
    """Send ``x`` through the factors of a LoRA, one after another: nothing of the weight's size is made.

    Args:
        base: The base's layer, whose stride and padding apply where its kernel does.
        up: (rows, rank), those rows of `Factors.up` that are this layer's.
        factors: The rest of the LoRA.
        x: The input.
    """
    import torch

    down, core = factors.down.to(x.dtype), factors.core
    if core is None:
        inner = operate(base, down, x)
    else:
        inner = operate(base, core.to(x.dtype), torch.tensordot(x, down, dims=([1], [1])).movedim(-1, 1))
    axis = channels(inner)
    effect = torch.tensordot(inner, up.to(x.dtype), dims=([axis], [1])).movedim(-1, axis)
    # The pipeline computes in float32 at best: what that does not hold is no number.
    if not float(torch.linalg.vector_norm(effect, torch.inf)) <= torch.finfo(torch.float32).max:
        effect = effect.fill_(torch.nan)
    return effect


@dataclass(frozen=True, slots=True)
class Span:
    """Rows that are consecutive in a piece of the change and in one module's weight."""

    index: int  # of the module
    row: int  # the first, in the module
    piece: slice  # in the piece


def spans(placed: Placed, at: slice) -> Iterator[Span]:
    """Return where the rows ``at``, in the file's order, are in the modules."""
    total = sum(placed.rows)
    shift = total // 2 if placed.layer.swapped else 0
    begin = 0
    for index, rows in enumerate(placed.rows):
        # diffusers' rows begin to begin + rows are, in the file, `shift` further on, and around the end
        for first, last in (
            (begin + shift, begin + rows + shift),
            (begin + shift - total, begin + rows + shift - total),
        ):
            low, high = max(first, at.start, 0), min(last, at.stop, total)
            if low < high:
                yield Span(index, low - first, slice(low - at.start, high - at.start))
        begin += rows


def split(placed: Placed, change: Any) -> Sequence[Any]:
    """Split rows in the file's order by module, in diffusers' order."""
    import torch

    if placed.layer.swapped:
        change = torch.cat(change.chunk(2)[::-1])
    found: Sequence[Any] = torch.split(change, list(placed.rows))
    return found


def difference(found: Any, expected: Any) -> str:
    """Describe the error: a wrong strength, or wrong values."""
    if not (found.isfinite().all() and expected.isfinite().all()):
        return "gives numbers that are not finite (NaN)"
    size = float(expected.norm())
    if size == 0:
        return "adds something, though the file's numbers for it are all zero"
    times = float((found * expected).sum()) / size**2
    if float((found - times * expected).norm()) <= ROUNDING * abs(times) * size:
        return f"acts at {times:.4g} times the strength that the file states"
    away = float((found - expected).norm()) / size
    return f"does not do what the file's numbers for it give: {100 * away:.3g} % of the effect is other"
