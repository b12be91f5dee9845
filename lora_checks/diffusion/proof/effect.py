"""Compare a network's output with and without a LoRA, and estimate how much of it is rounding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

# Of a network's output. What changes it by less moves no pixel by half a grey level, 2e-3 of the range.
FLOOR = 1e-5


def numbers(output: Any) -> list[Any]:
    """Return all floating-point tensors of a forward pass's output, in order, as float64 on the CPU."""
    import torch

    if isinstance(output, torch.Tensor):
        return [output.detach().cpu().double()] if output.is_floating_point() else []
    if isinstance(output, Mapping):
        output = output.values()
    if isinstance(output, Iterable) and not isinstance(output, str):
        return [tensor for part in output for tensor in numbers(part)]
    return []


def distance(found: Sequence[Any], base: Sequence[Any]) -> float:
    """Return |found - base| / |base| over all tensors; not finite if a value is not."""
    apart = sum(float((a - b).square().sum()) for a, b in zip(found, base, strict=True))
    size = sum(float(b.square().sum()) for b in base)
    return float((apart / size) ** 0.5) if size else float("inf" if apart else "nan")


def share(found: Sequence[Any], wanted: Sequence[Any], base: Sequence[Any]) -> float | None:
    """Return how many times the way from ``base`` to ``wanted`` ``found`` went; None if there is no way."""
    way = [there - here for there, here in zip(wanted, base, strict=True)]
    size = sum(float(step.square().sum()) for step in way)
    went = sum(float(((to - of) * step).sum()) for to, of, step in zip(found, base, way, strict=True))
    return went / size if size else None


def same(found: Sequence[Any], base: Sequence[Any]) -> bool:
    """Return whether outputs are equal bit for bit, except for the sign of zero."""
    import torch

    return all(torch.equal(a, b) for a, b in zip(found, base, strict=True))


@contextmanager
def rounding(modules: Iterable[Any]) -> Iterator[None]:
    """Move every output of ``modules`` by half a unit in the last place, up or down, and round it again.

    The network's output then differs from its normal output as much as with an adapter that only disturbs the
    rounding of its layers. This is measured because it depends on the network's depth.
    """
    import torch

    signs = torch.Generator("cpu").manual_seed(0)

    def nudge(_module: Any, _args: Any, output: Any) -> Any:
        up = torch.randint(0, 2, output.shape, generator=signs).to(output.device, torch.float32)
        half = torch.finfo(output.dtype).eps / 2
        wide = (
            torch.float64 if output.dtype == torch.float32 and output.device.type != "mps" else torch.float32
        )
        return (output.to(wide) * (1 + half * (2 * up - 1).to(wide))).to(output.dtype)

    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(nudge).remove)
        yield
