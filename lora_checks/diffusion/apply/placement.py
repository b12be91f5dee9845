"""Put every layer of a LoRA on its modules of a pipeline and check every shape."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from lora_checks.core.errors import GenerationError, LoraFileError
from lora_checks.core.records import Lora, LoraLayer
from lora_checks.diffusion.apply.networks import base_of, components, core
from lora_checks.diffusion.apply.numbers import named
from lora_checks.diffusion.quantised import weights
from lora_checks.lora.header import shown
from lora_checks.lora.names import Base, Found

Tensors = Mapping[str, Any]  # tensor name -> anything with a shape


@dataclass(frozen=True)
class Placed:
    """One layer of the file on the pipeline."""

    layer: LoraLayer  # with the base's component and targets, whatever the file alone told
    paths: tuple[str, ...]  # module paths inside the component, one per target, in the order of the rows
    rows: tuple[int, ...]  # out_features (out_channels) of each


def place(
    pipe: Any, lora: Lora, tensors: Tensors, allowed: Sequence[str] = ()
) -> tuple[tuple[Placed, ...], tuple[str, ...]]:
    """Return the placed layers, and the names of the tensors that ``allowed`` lets stay unused.

    Raises:
        GenerationError: The file is for another base, or a name means several of its modules.
        LoraFileError: A tensor belongs to no layer, or two layers belong to one module.
    """
    modules, base = components(pipe), base_of(pipe)
    lora = named(lora, modules, tensors)
    stray = _stray(lora, tensors, allowed)
    placed, homeless = [], []
    for layer in lora.layers:
        found = _find(lora, layer, base)
        if found:
            placed.append(_placed(lora, layer, found, modules[found.component], tensors))
        else:
            homeless.append(replace(layer, component=base.component(layer.name) or layer.component))
    unmet = [layer for layer in homeless if not all(_matches(n, allowed) for n in layer.parts.values())]
    if not placed or unmet:
        raise _homeless(lora, homeless if not placed else unmet, placed, base)
    _check_alone(lora, placed)
    unused = {name for layer in homeless for name in layer.parts.values()} | stray
    return tuple(placed), tuple(name for name in tensors if name in unused)


def _stray(lora: Lora, tensors: Tensors, allowed: Sequence[str]) -> set[str]:
    """Return the tensors of no layer. Raises `LoraFileError` unless all of them are allowed."""
    parts = {name for layer in lora.layers for name in layer.parts.values()}
    stray = [name for name in tensors if name not in parts]
    lost = [name for name in stray if not _matches(name, allowed)]
    if lost:
        raise LoraFileError(
            f"{lora.path.name}: {len(lost)} of {len(tensors)} tensors are part of no layer, such as "
            f"{shown(lost[0])}; export the file again without them"
        )
    missing = next((name for name in parts if name not in tensors), None)
    if missing:
        raise LoraFileError(f"{lora.path.name}: tensor {shown(missing)} is not in the file that was read")
    return set(stray)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _check_alone(lora: Lora, placed: Sequence[Placed]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for one in placed:
        for path in one.paths:
            other = seen.setdefault((one.layer.component, path), one.layer.name)
            if other != one.layer.name:
                raise LoraFileError(
                    f"{lora.path.name}: layers {shown(other)} and {shown(one.layer.name)} are both of "
                    f"{one.layer.component} module {path}; keep one of the two spellings"
                )


def _find(lora: Lora, layer: LoraLayer, base: Base) -> Found | None:
    try:
        return base.find(layer.name)
    except GenerationError as error:
        raise GenerationError(f"{lora.path.name}: {error}") from error


def _placed(lora: Lora, layer: LoraLayer, found: Found, network: Any, tensors: Tensors) -> Placed:
    paths = found.native.targets
    shapes = [weights.shape(core(network.get_submodule(path))) for path in paths]
    ours = weight_shape(layer, tensors)
    base = (sum(shape[0] for shape in shapes), *shapes[0][1:])
    if any(shape[1:] != shapes[0][1:] for shape in shapes) or not _fits(ours, base):
        raise GenerationError(
            f"{lora.path.name}: {found.component} layer {shown(layer.name)} does not fit the base: "
            f"LoRA {_x(ours)}, base {_x(base)}{_guess(lora)}"
        )
    pair = found.native.swapped_if_pair and ours[0] == 2 * ours[1]
    layer = replace(
        layer,
        component=found.component,
        targets=tuple(path.replace(".", "_") for path in paths),
        swapped=found.native.swapped or pair,
    )
    return Placed(layer, paths, tuple(shape[0] for shape in shapes))


def weight_shape(layer: LoraLayer, tensors: Tensors) -> tuple[int, ...]:
    """Return the changed weight's shape: (rows, columns, *kernel), or with the kernel in the columns."""
    shape = {part: tuple(tensors[name].shape) for part, name in layer.parts.items()}
    if "down" in shape:
        return (shape["up"][0], shape["down"][1], *shape.get("mid", shape["down"])[2:])
    if "hada_w1_a" in shape:
        a, b, core_shape = shape["hada_w1_a"], shape["hada_w1_b"], shape.get("hada_t1")
        return (a[1], b[1], *core_shape[2:]) if core_shape else (a[0], *b[1:])
    if any(part.startswith("lokr_") for part in shape):
        outer, inner = _factor(shape, "lokr_w1"), _factor(shape, "lokr_w2")
        return (outer[0] * inner[0], outer[1] * inner[1], *inner[2:])
    return shape.get("diff") or next(iter(shape.values()))


def _factor(shape: Mapping[str, tuple[int, ...]], name: str) -> tuple[int, ...]:
    if name in shape:
        return shape[name]
    a, b = shape[f"{name}_a"], shape[f"{name}_b"]
    tucker = shape.get("lokr_t2") if name == "lokr_w2" else None
    return (a[1], b[1], *tucker[2:]) if tucker else (a[0], *b[1:])


def _fits(ours: tuple[int, ...], base: tuple[int, ...]) -> bool:
    """Compare shapes: a 1x1 kernel is optional, and LoHa and LoKr fold larger ones into the columns."""
    if math.prod(base[1:]) != math.prod(ours[1:]) or base[0] != ours[0]:
        return False
    return _trimmed(ours) == _trimmed(base) or len(_trimmed(ours)) == 2


def _trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:2] if math.prod(shape[2:]) == 1 else shape


def _x(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, _trimmed(shape)))


def _guess(lora: Lora) -> str:
    if not lora.families:
        return ""
    article = "an" if lora.families[0].startswith(("SD", "LTX", *"AEIO")) else "a"
    return f" ({article} {' or '.join(lora.families)} LoRA?)"


def _homeless(
    lora: Lora, layers: Sequence[LoraLayer], placed: Sequence[Placed], base: Base
) -> GenerationError:
    """Return the error for layers without a place: counts by component, a sample, and the base's names."""
    sample = layers[0]
    if not placed:
        network = base.networks.get(sample.component) or next(iter(base.networks.values()))
        has = next(iter(network.paths.values()))[0].replace(".", "_")
        return GenerationError(
            f"{lora.path.name}: 0 of {len(lora.layers)} layers match the base, such as {shown(sample.name)}; "
            f"its {', '.join(base.networks)} have modules such as {shown(has)}{_guess(lora)}"
        )
    missing = Counter(layer.component for layer in layers)
    total = missing + Counter(one.layer.component for one in placed)
    counts = " and ".join(f"{n} of {total[name]} {name} layers" for name, n in missing.items())
    lacking = [name for name in missing if name not in base.networks]
    why = f"it has no {' and no '.join(lacking)}" if lacking else f"such as {shown(sample.name)}"
    return GenerationError(f"{lora.path.name}: {counts} have no place on the base, {why}{_guess(lora)}")
