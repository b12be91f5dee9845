"""Prompts as a pipeline's text encoders read them, encoded once for each state of the encoders.

All LoRAs are asked the same prompts, and most leave the text encoders alone, while a T5 or a Qwen may
outweigh the denoiser. So what `encode_prompt` returned is kept in main memory and given again for the same
arguments. It is kept by batch: a prompt among others may differ from the same prompt alone in its last digit.
"""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 1 << 30  # of main memory; 32 prompts of FLUX.1 take an eighth of it
METHOD = "encode_prompt"

State = Sequence[tuple[str, float]]  # the LoRAs that change a text encoder, and their strengths


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor in main memory, and the device that it is wanted on."""

    values: Any
    device: Any

    def again(self) -> Any:
        """Return a copy: a pipeline may change what it gets."""
        return self.values.to(self.device, copy=True)


class Encoded:
    """What one loaded pipeline's `encode_prompt` returned; the least recently used is dropped first."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._sizes: dict[str, int] = {}

    @contextmanager
    def on(self, pipe: Any, state: State) -> Iterator[None]:
        """Answer a pipeline's `encode_prompt` from what is kept while its text encoders are in ``state``."""
        original = getattr(pipe, METHOD, None)
        if original is None:
            yield
            return

        @functools.wraps(original)  # pipelines look at its signature
        def encode_prompt(*args: Any, **kwargs: Any) -> Any:
            key = _key(original, args, kwargs, state)
            if key is None:
                return original(*args, **kwargs)
            if key not in self._kept:
                output = original(*args, **kwargs)
                self._keep(key, output)
                return output
            self._kept.move_to_end(key)
            return _mapped(self._kept[key], _Tensor, _Tensor.again)

        vars(pipe)[METHOD] = encode_prompt
        try:
            yield
        finally:
            del vars(pipe)[METHOD]

    def _keep(self, key: str, output: Any) -> None:
        import torch

        sizes = []

        def kept(tensor: Any) -> _Tensor:
            sizes.append(tensor.nbytes)
            return _Tensor(tensor.detach().to("cpu", copy=True), tensor.device)

        self._kept[key], self._sizes[key] = _mapped(output, torch.Tensor, kept), sum(sizes)
        while sum(self._sizes.values()) > self._most:
            oldest, _ = self._kept.popitem(last=False)
            del self._sizes[oldest]


def _mapped(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """Return ``value`` with ``change`` applied to everything of a kind in its lists, tuples and dicts."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(_mapped(item, kind, change) for item in value)
    if isinstance(value, dict):
        return {key: _mapped(item, kind, change) for key, item in value.items()}
    return value


def _key(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], state: State
) -> str | None:
    """Return a text that is the same for equal arguments; None if one of them is no plain value."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    plain = [(name, _plain(value)) for name, value in sorted(bound.arguments.items())]
    return None if any(text is None for _, text in plain) else repr((plain, sorted(state)))


def _plain(value: Any) -> str | None:
    import torch

    if isinstance(value, str | int | float | bool | None | torch.device | torch.dtype):
        return repr(value)
    if isinstance(value, list | tuple):
        parts = [_plain(item) for item in value]
        return None if any(part is None for part in parts) else f"[{', '.join(map(str, parts))}]"
    return None
