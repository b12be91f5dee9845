"""Determine which bases a LoRA fits, from the names and shapes of its layers.

A transformer's layers are compared with the modules of published models (`family_shapes`): a base fits if it
has every one of them, in that shape. The widths of the UNets and text encoders are from the published
configurations (config.json) of SD 1.5, SD 2.1, SDXL 1.0, SD 3 and 3.5, FLUX.1 and HiDream.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from lora_checks.lora.family_shapes import SHAPES
from lora_checks.lora.layers import Layer
from lora_checks.lora.names import is_text_encoder
from lora_checks.lora.native_names import LDM, table_of
from lora_checks.lora.numbered import KIND as NUMBERED
from lora_checks.lora.spelling import split_prefix

UNETS = ("SD 1.x", "SD 2.x", "SDXL")
FAMILIES = (*UNETS, *SHAPES, "Cosmos-Predict2")

_SD = frozenset({"SD 1.x", "SD 2.x"})
# Input width of a layer -> families with that width. Other widths (pruned, tiny bases) are no evidence.
_TEXT_WIDTH = {768: {"SD 1.x"}, 1024: {"SD 2.x"}, 2048: {"SDXL"}}  # of the UNet's cross-attention
_ENCODER_WIDTH = {
    "text_encoder": {768: {"SD 1.x", "SDXL", "SD3", "FLUX.1", "HiDream"}, 1024: {"SD 2.x"}},
    "text_encoder_2": {1280: {"SDXL", "SD3", "HiDream"}, 4096: {"FLUX.1"}},
    "text_encoder_3": {4096: {"SD3", "HiDream"}},
}
_UNET = ("down_blocks_", "mid_block_", "up_blocks_", "add_embedding_")
# Names that only some UNets have. SD 1.x and 2.x have four levels, SDXL three; SDXL has more than one
# transformer block in an attention and is conditioned on the image size (add_embedding).
_UNET_NAMES: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    (re.compile(r"add_embedding_.*|.*attentions_\d+_transformer_blocks_[1-9].*"), frozenset({"SDXL"})),
    (re.compile(r"(down|up)_blocks_3_.*"), _SD),
)
# Names that only these have, in whatever width: of pruned and tiny bases the width tells nothing.
_SIGNS: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    (
        re.compile(r"double_blocks_\d+_(?:img|txt)_mod_lin|single_blocks_\d+_modulation_lin"),
        frozenset({"FLUX.1"}),
    ),
    (re.compile(r"joint_blocks_\d+_.*"), frozenset({"SD3"})),
    (re.compile(r"distilled_guidance_layer_.*"), frozenset({"Chroma"})),
    (
        re.compile(r"blocks_\d+_(?:adaln_modulation_(?:self_attn|cross_attn|mlp)_\d|(?:self|cross)_attn_(?:[qkv]|output)_proj)"),
        frozenset({"Anima", "Cosmos-Predict2"}),
    ),
    (re.compile(r"blocks_\d+_attn_w[qkvo]|txtfusion_.*"), frozenset({"Krea 2"})),
    (re.compile(r"transformer_blocks_\d+_(?:img|txt)_(?:mlp_net_\d.*|mod_1)"), frozenset({"Qwen-Image"})),
)  # fmt: skip
_SPLIT = re.compile(r"_(\d{1,3})_")


_Shape = tuple[int, int]  # rows, columns
_Place = tuple[str, int, str]  # blocks, number, name in the block


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """The modules of one published denoiser."""

    family: str
    kind: str  # diffusers' class
    blocks: Mapping[str, tuple[int, Mapping[str, set[_Shape]]]]  # name -> number, names -> shapes

    def block_of(self, module: _Module) -> tuple[str, int] | None:
        """Return the blocks and the number of the one that has the module in its shape; None without."""
        for place in module.places:
            if any(module.fits(shape) for shape in self._shapes(place)):
                return place[:2]
        table = table_of([self.kind])
        native = table.find(module.name) if table else None
        if native is None:
            return None
        places = [next(filter(self._shapes, _places(target)), None) for target in native.targets]
        shapes = [next(iter(self._shapes(place))) for place in places if place]
        whole = len(shapes) == len(places) and (sum(rows for rows, _ in shapes), shapes[0][1])
        if len(places) == 1 and places[0]:  # the last block of SD3 has another shape
            return places[0][:2] if any(map(module.fits, self._shapes(places[0]))) else None
        return places[0][:2] if places[0] and whole and module.fits(whole) else None

    def _shapes(self, place: _Place) -> set[_Shape]:
        blocks, number, name = place
        count, shapes = self.blocks.get(blocks, (0, {}))
        return shapes.get(name, set()) if number < count else set()


@dataclass(frozen=True, slots=True)
class _Module:
    """A module that a layer of the file changes, and the weight that it must have."""

    name: str
    rows: int
    columns: int
    flat: bool  # the columns are times the kernel's size
    places: tuple[_Place, ...]  # every way to read the name as blocks, number, name

    def fits(self, shape: _Shape) -> bool:
        rows, columns = shape
        return rows == self.rows and (columns == self.columns or (self.flat and self.columns % columns == 0))


def families_of(layers: Iterable[Layer]) -> tuple[str, ...]:
    """Return the families that fit every layer; () without evidence or if layers contradict each other.

    Several may: FLUX.1 and Chroma have the same attentions. If the file changes every block of some of them,
    as trainers do, only these are returned.
    """
    evidence: list[Iterable[str]] = []
    modules = []
    for layer in layers:
        spelt = split_prefix(layer.name)
        if spelt.kind == NUMBERED:
            evidence += _of_numbered(layer)
        elif is_text_encoder(spelt.component):
            evidence += _of_encoder(layer)
        else:
            modules.append(_module(spelt.module, layer))
    if any(module.name.startswith(_UNET) for module in modules):
        evidence += [families for module in modules for families in _of_unet(module)]
        evidence += [UNETS] if evidence else []
    elif modules:
        evidence.append(_of_transformer(modules))
    left = set(FAMILIES).intersection(*evidence) if any(evidence) else set()
    return tuple(family for family in FAMILIES if family in left)


def _module(name: str, layer: Layer) -> _Module:
    flat = name.replace(".", "_")
    original = LDM.find(flat)
    flat = original.targets[0] if original else flat
    shape = layer.anatomy
    return _Module(flat, shape.rows, shape.columns, shape.flat, tuple(_places(flat)))


def _places(name: str) -> Iterator[_Place]:
    names = [name, name.replace("_processor_", "_")]
    for spelling in dict.fromkeys([*names, *(f"{each}_0" for each in names if each.endswith("_to_out"))]):
        yield "-", 0, spelling
        for split in _SPLIT.finditer(spelling):
            yield spelling[: split.start()], int(split[1]), spelling[split.end() :]


def _of_unet(module: _Module) -> Iterator[Iterable[str]]:
    name = module.name.replace("_processor_", "_")
    for pattern, families in _UNET_NAMES:
        if pattern.fullmatch(name):
            yield families
    if name.endswith(("attn2_to_k", "attn2_to_v")) and module.columns in _TEXT_WIDTH:
        yield _TEXT_WIDTH[module.columns]


def _of_numbered(layer: Layer) -> Iterator[Iterable[str]]:
    """Layers without names: only a UNet's cross-attention and a text encoder have these widths."""
    widths: Mapping[int, Iterable[str]] = {768: {"SD 1.x"}, 1024: {"SD 2.x"}}
    if layer.anatomy.columns in widths:
        yield widths[layer.anatomy.columns]


def _of_encoder(layer: Layer) -> Iterator[Iterable[str]]:
    target = layer.place.targets[0]
    widths = _ENCODER_WIDTH.get(layer.place.component, {})
    inner = target.endswith(("q_proj", "k_proj", "v_proj", "fc1", "_q", "_k", "_v"))
    if inner and layer.anatomy.columns in widths:
        yield widths[layer.anatomy.columns]


def _of_transformer(modules: Sequence[_Module]) -> frozenset[str]:
    """Return the families of the models that have all modules, or of those whose every block is used."""
    fitting: dict[_Model, bool] = {}
    for model in _models():
        used: dict[str, set[int]] = {}
        for module in modules:
            place = model.block_of(module)
            if place is None:
                break
            used.setdefault(place[0], set()).add(place[1])
        else:
            fitting[model] = all(len(seen) == model.blocks[name][0] for name, seen in used.items())
    whole = {model.family for model, complete in fitting.items() if complete}
    families = whole or {model.family for model in fitting}
    if families:
        return frozenset(families | ({"Cosmos-Predict2"} if "Anima" in families else set()))
    signs = [families for module in modules for sign, families in _SIGNS if sign.fullmatch(module.name)]
    return frozenset.intersection(*signs) if signs else frozenset()


@cache
def _models() -> tuple[_Model, ...]:
    return tuple(
        _Model(family, kind, _blocks(text)) for family, (kind, texts) in SHAPES.items() for text in texts
    )


def _blocks(text: str) -> dict[str, tuple[int, dict[str, set[_Shape]]]]:
    """Parse one description of `SHAPES`."""
    blocks: dict[str, tuple[int, dict[str, set[_Shape]]]] = {}
    for line in re.sub(r"\n +", " ", text).strip().splitlines():
        head, _, entries = line.partition(": ")
        name, count = head.split()
        shapes: dict[str, set[_Shape]] = blocks.setdefault(name, (int(count), {}))[1]
        for entry in entries.split("; "):
            size, *names = entry.split()
            rows, columns = map(int, size.split("x"))
            for each in names:
                shapes.setdefault(each, set()).add((rows, columns))
    return blocks
