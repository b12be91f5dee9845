"""Match a LoRA's layers to the modules of a pipeline and check every shape."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from lora_checks.core.errors import GenerationError, LoraFileError
from lora_checks.core.records import Lora, LoraLayer
from lora_checks.lora.header import shown

COMPONENTS = ("unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3")
Tensors = Mapping[str, Any]  # tensor name -> anything with a shape


@dataclass(frozen=True)
class Placed:
    """One layer of the file on the pipeline."""

    layer: LoraLayer
    paths: tuple[str, ...]  # module paths inside the component, one per target, in the order of the rows
    rows: tuple[int, ...]  # out_features (out_channels) of each


def components(pipe: Any) -> dict[str, Any]:
    """Return the networks of the pipeline that a LoRA can change."""
    networks = {name: getattr(pipe, name, None) for name in COMPONENTS}
    return {name: module for name, module in networks.items() if hasattr(module, "named_modules")}


def core(module: Any) -> Any:
    """Return the base's own module, without the adapters around it."""
    return module.get_base_layer() if hasattr(module, "get_base_layer") else module


def flat(path: str) -> str:
    """Spell a path like `LoraLayer.targets`; transformers 4 and 5 differ in a leading ``text_model``."""
    return path.replace(".", "_").removeprefix("text_model_")


def paths(component: Any) -> dict[str, str]:
    """Map flattened paths to paths, for every module of the base that has a weight."""
    return {flat(path): path for path in _weights(component, "")}


def _weights(module: Any, prefix: str) -> Iterator[str]:
    for name, child in module._modules.items():
        if child is None:
            continue
        path = f"{prefix}{name}"
        if getattr(core(child), "weight", None) is not None:
            yield path
        else:
            yield from _weights(child, f"{path}.")


def place(
    pipe: Any, lora: Lora, tensors: Tensors, allowed: Sequence[str] = ()
) -> tuple[tuple[Placed, ...], tuple[str, ...]]:
    """Return the placed layers, and the names of the tensors that ``allowed`` lets stay unused.

    Raises:
        GenerationError: The file is for another base.
        LoraFileError: A tensor belongs to no layer, or two layers belong to one module.
    """
    modules = components(pipe)
    known = {name: paths(module) for name, module in modules.items()}
    stray = _stray(lora, tensors, allowed)
    placed, homeless = [], []
    for layer in lora.layers:
        found = [known.get(layer.component, {}).get(target) for target in layer.targets]
        if all(found):
            placed.append(_placed(lora, layer, [path for path in found if path], modules, tensors))
        else:
            homeless.append(layer)
    unmet = [layer for layer in homeless if not all(_matches(n, allowed) for n in layer.parts.values())]
    if not placed or unmet:
        raise _homeless(lora, homeless if not placed else unmet, placed, known)
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


def _placed(
    lora: Lora, layer: LoraLayer, found: Sequence[str], modules: Mapping[str, Any], tensors: Tensors
) -> Placed:
    cores = [core(modules[layer.component].get_submodule(path)) for path in found]
    shapes = [tuple(module.weight.shape) for module in cores]
    ours = weight_shape(layer, tensors)
    base = (sum(shape[0] for shape in shapes), *shapes[0][1:])
    if any(shape[1:] != shapes[0][1:] for shape in shapes) or not _fits(ours, base):
        raise GenerationError(
            f"{lora.path.name}: {layer.component} layer {shown(layer.name)} does not fit the base: "
            f"LoRA {_x(ours)}, base {_x(base)}{_guess(lora)}"
        )
    return Placed(layer, tuple(found), tuple(shape[0] for shape in shapes))


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
    article = "an" if lora.families[0].startswith("S") else "a"
    return f" ({article} {' or '.join(lora.families)} LoRA?)"


def _homeless(
    lora: Lora, layers: Sequence[LoraLayer], placed: Sequence[Placed], known: Mapping[str, Mapping[str, str]]
) -> GenerationError:
    """Return the error for layers without a place: counts by component, a sample, and the base's names."""
    sample = layers[0]
    if not placed:
        has = next(iter(known.get(sample.component) or next(iter(known.values()))))
        return GenerationError(
            f"{lora.path.name}: 0 of {len(lora.layers)} layers match the base, such as {shown(sample.name)}; "
            f"its {', '.join(known)} have modules such as {shown(has)}{_guess(lora)}"
        )
    total = Counter(layer.component for layer in lora.layers)
    missing = Counter(layer.component for layer in layers)
    counts = " and ".join(f"{n} of {total[name]} {name} layers" for name, n in missing.items())
    lacking = [name for name in missing if name not in known]
    why = f"it has no {' and no '.join(lacking)}" if lacking else f"such as {shown(sample.name)}"
    return GenerationError(f"{lora.path.name}: {counts} have no place on the base, {why}{_guess(lora)}")
