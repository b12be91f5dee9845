"""No change of a weight is ever there as a whole: not while it is loaded, applied or proven.

What is measured is the largest tensor that an operation makes anew; views cost nothing. The layers are larger
than a piece, so that what is built whole shows.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import merging
import pytest
import torch
from safetensors.torch import save_file
from test_families import load as load_pipeline
from torch.utils._python_dispatch import TorchDispatchMode

from lora_checks.diffusion import apply
from lora_checks.diffusion.apply import injection, pieces
from lora_checks.diffusion.proof import formulas, prove
from lora_checks.diffusion.proof import module as proof_module
from lora_checks.diffusion.proof.layers import Inspector
from lora_checks.lora.file import inspect

BLOCK = "mid_block.attentions.0.transformer_blocks.0"
LINEAR, CONV = f"lora_unet_{BLOCK.replace('.', '_')}_ff_net_0_proj", "lora_unet_mid_block_resnets_0_conv1"
SMALL = 1 << 10  # numbers of a piece here; the convolution has 36 times as many
Fresh = Callable[[], Any]


@pytest.fixture(scope="module")
def fresh(family_folder: Callable[[str], Path]) -> Fresh:
    loaded = load_pipeline(family_folder("SD 1.x"))
    return lambda: copy.deepcopy(loaded)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    for module in (pieces, injection, formulas, proof_module):
        monkeypatch.setattr(module, "VALUES", SMALL)


class Largest(TorchDispatchMode):
    """Numbers in the largest tensor that was made, and in all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.values = self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if (
            isinstance(out, torch.Tensor)
            and not out.is_meta
            and not any(
                isinstance(arg, torch.Tensor) and arg.untyped_storage()._cdata == out.untyped_storage()._cdata
                for arg in args
            )
        ):
            self.values = max(self.values, out.numel())
            self.total += out.numel()
        return out


def shapes(name: str, kernel: tuple[int, ...], pipe: Any) -> tuple[int, ...]:
    path = name.removeprefix("lora_unet_")
    module = next(m for p, m in pipe.unet.named_modules() if p.replace(".", "_") == path)
    assert tuple(module.weight.shape[2:]) == kernel
    return tuple(module.weight.shape)


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape) / 4


def kron(rows: int, columns: int, kernel: tuple[int, ...], kind: str) -> Mapping[str, torch.Tensor]:
    """Factors of 4 x 8 and the rest, whole, as products, or with a Tucker core."""
    one, two = rows // 4, columns // 8
    if kind == "whole":
        return {"lokr_w1": randn(4, 8), "lokr_w2": randn(one, two, *kernel) / 4}
    if kind == "outer":  # the second factor is as large as the weight
        return {"lokr_w1": randn(1, 1), "lokr_w2": randn(rows, columns, *kernel) / 4}
    folded = two * (kernel[0] * kernel[1] if kernel else 1)
    both = {"lokr_w1_a": randn(4, 2), "lokr_w1_b": randn(2, 8)}
    if kind == "tucker":
        return both | {
            "lokr_t2": randn(2, 2, *kernel),
            "lokr_w2_a": randn(2, one),
            "lokr_w2_b": randn(2, two),
        }
    return both | {"lokr_w2_a": randn(one, 2), "lokr_w2_b": randn(2, folded)}


def hada(rows: int, columns: int, kernel: tuple[int, ...], kind: str) -> Mapping[str, torch.Tensor]:
    folded = columns * (kernel[0] * kernel[1] if kernel else 1)
    if kind == "tucker":
        cores = {f"hada_t{half}": randn(2, 2, *kernel) for half in "12"}
        sides = {f"hada_w{half}_{s}": randn(2, rows if s == "a" else columns) for half in "12" for s in "ab"}
        return cores | sides
    return {
        f"hada_w{half}_{s}": randn(rows, 2) if s == "a" else randn(2, folded) for half in "12" for s in "ab"
    }


def low(rows: int, columns: int, kernel: tuple[int, ...], kind: str) -> Mapping[str, torch.Tensor]:
    ones = (1,) * len(kernel)
    if kind == "tucker":
        cores = {"lora_mid.weight": randn(2, 2, *kernel)}
        return cores | {"lora_down.weight": randn(2, columns, *ones), "lora_up.weight": randn(rows, 2, *ones)}
    return {"lora_down.weight": randn(2, columns, *kernel) / 2, "lora_up.weight": randn(rows, 2, *ones) / 2}


MAKERS = {"lora": low, "dora": low, "loha": hada, "doha": hada, "lokr": kron, "dokr": kron}
KRONECKER = ("both", "whole", "outer", "tucker")
KINDS = [
    *(f"{name} {form}" for name in ("lora", "dora", "loha", "doha") for form in ("plain", "tucker")),
    *(f"{algorithm} {form}" for algorithm in ("lokr", "dokr") for form in KRONECKER),
    "dora plain by-input", "doha plain by-input", "dokr whole by-input", "full plain",
]  # fmt: skip


def write(path: Path, kind: str, pipe: Any) -> Path:
    algorithm, form, *rest = kind.split()
    tensors = {}
    for name, kernel in ((LINEAR, ()), (CONV, (3, 3))):
        rows, columns, *_ = shapes(name, kernel, pipe)
        if algorithm == "full":
            tensors[f"{name}.diff"] = (randn(rows, columns, *kernel) / 8).half()
            continue
        if form == "tucker" and not kernel:
            continue
        for part, value in MAKERS[algorithm](rows, columns, kernel, form).items():
            tensors[f"{name}.{part}"] = value
        tensors[f"{name}.alpha"] = torch.tensor(1.0)
        if algorithm.startswith("do"):
            size = (1, columns) if rest else (rows, 1)
            tensors[f"{name}.dora_scale"] = (torch.rand(*size) + 0.5).reshape(*size, *(1,) * len(kernel))
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    return path


def outputs(pipe: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    width = pipe.unet.config.cross_attention_dim
    inputs = torch.randn(1, 4, 8, 8, generator=generator), 3, torch.randn(1, 5, width, generator=generator)
    with torch.no_grad():
        return pipe.unet(*inputs).sample  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_is_never_built_whole(fresh: Fresh, tmp_path: Path, kind: str) -> None:
    pipe, merged = fresh(), fresh()
    path = write(tmp_path / "a.safetensors", kind, pipe)
    base = outputs(pipe)
    lora = inspect(path, "a")
    largest = {}
    with Largest() as counted:
        adapter = apply.load(pipe, lora, "a")
    largest["load"] = counted.values
    apply.activate(pipe, {"a": 0.5})
    with Largest() as counted:
        found = outputs(pipe)
    largest["forward"] = counted.values
    proof = prove(pipe, adapter, 0.5)
    assert proof.worst_layer_error < 1e-5
    merging.merge(merged, path, 0.5)
    assert (found - outputs(merged)).abs().max() < 1e-4
    assert not torch.equal(found, base)
    apply.activate(pipe, {})
    assert torch.equal(outputs(pipe), base)
    apply.remove(pipe, "a")
    assert torch.equal(outputs(pipe), base)
    with Largest() as counted:
        outputs(pipe)  # what the base itself makes
    assert largest["load"] <= 4 * SMALL
    assert largest["forward"] <= max(4 * SMALL, counted.values)


@pytest.mark.parametrize("kind", KINDS)
def test_the_proof_makes_nothing_of_a_weights_size(
    fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    pipe = fresh()
    adapter = apply.load(pipe, inspect(write(tmp_path / "a.safetensors", kind, pipe), "a"), "a")
    apply.activate(pipe, {"a": 1.0})
    check, largest = Inspector.check, []

    def counted(*arguments: Any) -> None:
        with Largest() as found:
            check(*arguments)
        largest.append(found.values)

    monkeypatch.setattr(Inspector, "check", counted)
    prove(pipe, adapter, 1.0)
    assert len(largest) == len(adapter.placed)
    assert max(largest) <= 8 * SMALL  # 16 rows of 512 outputs


@pytest.mark.parametrize("kind", ["lora plain", "lora tucker"])
def test_the_proof_of_a_lora_makes_fewer_numbers_than_its_weight_has(
    fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """All together, and not only at a time: the effect is worked out through the factors."""
    pipe = fresh()
    adapter = apply.load(pipe, inspect(write(tmp_path / "a.safetensors", kind, pipe), "a"), "a")
    apply.activate(pipe, {"a": 1.0})
    expected, made = Inspector._expected, list[tuple[int, int]]()

    def counted(self: Any, placed: Any, spots: Any, inputs: Any) -> Any:
        with Largest() as found:
            effects = expected(self, placed, spots, inputs)
        made.append((found.total, sum(spot.module.get_base_layer().weight.numel() for spot in spots)))
        return effects

    monkeypatch.setattr(Inspector, "_expected", counted)
    assert prove(pipe, adapter, 1.0).worst_layer_error < 1e-6
    assert len(made) == len(adapter.placed)
    assert all(numbers < weight for numbers, weight in made)


def test_a_whole_difference_is_in_memory_once(fresh: Fresh, tmp_path: Path) -> None:
    """In the file's precision, in the very bytes that were read and whose digest was compared."""
    pipe = fresh()
    adapter = apply.load(pipe, inspect(write(tmp_path / "a.safetensors", "full plain", pipe), "a"), "a")
    for slot in apply.slots(pipe)["a"]:
        held = slot.tuner.lokr_w2[slot.adapter]
        assert held.dtype == torch.float16
        assert any(held.data_ptr() == value.data_ptr() for value in adapter.tensors.values())
