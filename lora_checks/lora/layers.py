"""Group the tensors of a LoRA file into layers, with what each layer's name tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.algorithms import LABELS, Anatomy, algorithm_of, anatomy
from lora_checks.lora.header import Tensor, shown
from lora_checks.lora.others import other_kind
from lora_checks.lora.place import Place
from lora_checks.lora.refused import check_algorithm, check_factors, no_lora, unknown_name
from lora_checks.lora.spelling import Spelt, adapter_in, split_part, split_prefix
from lora_checks.lora.told_names import DENOISER, DENOISERS, original_of, told_place


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as the header describes it, before its values are read."""

    name: str
    kind: str
    place: Place
    parts: Mapping[str, Tensor]
    anatomy: Anatomy
    path: str  # inside its component, with the file's dots; PEFT's patterns match against it

    @property
    def swapped(self) -> bool:
        """Whether diffusers stores the two halves of the rows in the opposite order."""
        pair = self.anatomy.rows == 2 * self.anatomy.columns
        return self.place.swapped or (self.place.swapped_if_pair and pair)


def layers_of(tensors: Mapping[str, Tensor], flux: bool = False) -> tuple[Layer, ...]:
    """Return the layers of a file.

    Args:
        tensors: The tensors of the header, by name.
        flux: Whether the metadata names FLUX as the base, whose second text encoder is the T5.

    Raises:
        LoraFileError: A tensor belongs to no layer, or a layer can have no place on any base.
    """
    if not tensors:
        raise LoraFileError("holds no tensors")
    other = other_kind(tensors)
    if other:
        raise LoraFileError(other)
    grouped = _grouped(tensors)
    original = original_of(split_prefix(name).module for name in grouped)
    layers = tuple(_layer(name, parts, original) for name, parts in grouped.items())
    t5 = "text_encoder_2" if flux or any(_is_flux(layer) for layer in layers) else "text_encoder_3"
    layers = tuple(_with_encoder(layer, t5) for layer in layers)
    layers = _with_denoiser(layers)
    _check_unique(layers)
    return layers


def kinds_of(layers: Iterable[Layer]) -> str:
    """Return the naming schemes in use, the most frequent first: "kohya", "diffusers + kohya"."""
    counts = Counter(layer.kind for layer in layers)
    if "OneTrainer" in counts:  # its text encoders have kohya's names
        del counts["kohya"]
    return " + ".join(kind for kind, _ in counts.most_common() if kind) or "original names"


def _grouped(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Group tensors by layer: layer name -> part -> tensor."""
    split = {name: split_part(name, tensors) for name in tensors}
    if all(found is None or found[1] == "alpha" for found in split.values()):
        raise no_lora(tensors)
    _check_one_adapter(tensors)
    grouped: dict[str, dict[str, Tensor]] = {}
    for name, found in split.items():
        if found is None:
            raise unknown_name(name)
        layer, part = found
        if part in grouped.setdefault(layer, {}):
            raise LoraFileError(
                f"has two {LABELS.get(part, part)} for layer {shown(layer)}, in two spellings"
            )
        grouped[layer][part] = tensors[name]
    return grouped


def _check_one_adapter(tensors: Iterable[str]) -> None:
    names = dict.fromkeys(adapter_in(name) for name in tensors if not name.endswith(".alpha"))
    if len(names) > 1:
        listed = " and ".join("one without a name" if name is None else shown(name) for name in names)
        raise LoraFileError(f"holds the adapters {listed} in its keys; save each in a file of its own")


def _layer(name: str, parts: Mapping[str, Tensor], original: str) -> Layer:
    spelt = split_prefix(name)
    place = told_place(spelt.module, spelt.component, original)
    kind = _kind(spelt, place)
    algorithm = algorithm_of(name, parts)
    check_algorithm(algorithm, name)
    if name.startswith("vae."):
        raise LoraFileError(
            f"has LoRA keys of no known kind, such as {shown(name)}: no pipeline loads a LoRA onto a VAE; "
            "save the layers of denoiser and text encoders alone"
        )
    path = spelt.module.replace(".processor.", ".")
    shape = anatomy(name, parts, algorithm)
    check_factors(name, shape)
    return Layer(name, kind, place, parts, shape, path)


def _kind(spelt: Spelt, place: Place) -> str:
    """Return the naming scheme of a layer."""
    kind, module, original = spelt.kind, spelt.module, place.original
    if original == "FLUX" and not kind.startswith(("kohya", "LyCORIS")):
        if "_blocks." in module and ".processor." in module:
            return "XLabs"
        return {"PEFT": "fal", "ComfyUI": kind}.get(kind, "BFL")
    if kind:
        return kind
    if original:
        return f"original {original}"
    return "unprefixed" if place.component == DENOISER else "diffusers"


def _is_flux(layer: Layer) -> bool:
    targets = layer.place.targets
    return layer.place.original == "FLUX" or targets[0].startswith("single_transformer_blocks_")


def _with_encoder(layer: Layer, component: str) -> Layer:
    """Name the component of a T5, FLUX's second and SD3's third text encoder, and of a language model."""
    component = {"T5": component, "LLM": "text_encoder"}.get(layer.place.component, "")
    return replace(layer, place=replace(layer.place, component=component)) if component else layer


def _with_denoiser(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Name the denoiser of all layers if some of them tell it: a file is of one."""
    told = {layer.place.component for layer in layers}.intersection(DENOISERS) - {DENOISER}
    if len(told) != 1:
        return layers
    (name,) = told
    return tuple(
        replace(layer, place=replace(layer.place, component=name))
        if layer.place.component == DENOISER
        else layer
        for layer in layers
    )


def _check_unique(layers: Iterable[Layer]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for layer in layers:
        component = layer.place.component
        for target in layer.place.targets:
            other = seen.setdefault((DENOISER if component in DENOISERS else component, target), layer.name)
            if other != layer.name:
                raise LoraFileError(
                    f"names one layer twice: {shown(other)} and {shown(layer.name)} both change "
                    f"{component} {shown(target)}; keep one of the two"
                )
