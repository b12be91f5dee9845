"""A random file of every kind of LoRA that trainers write, for a tiny base of any family.

Made by the trainers' own libraries where they install (diffusers with peft, LyCORIS), else after their
published code. The kinds that differ by their names adapt all layers that they can; those that differ by
their formula adapt one of each sort (`sort_of`), as their names are the same. The values look trained:
nothing is zero, and each layer changes its weight by about a third.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import layouts
import torch
from families import FAMILIES
from layouts import Names, Spot
from safetensors.torch import save_file
from torch import Tensor, nn

UNETS, TRANSFORMERS = FAMILIES[:3], FAMILIES[3:]
FLUX = FAMILIES[4:]
CHANGE = 0.3  # of a weight's root mean square
Draw = Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]
Sort = tuple[Any, ...]


@dataclass(frozen=True)
class Kind:
    """`layout` names the layers, `draw` makes the tensors of one (endings -> values)."""

    layout: Callable[[Any], Names]
    draw: Draw
    families: tuple[str, ...] = FAMILIES
    chosen: Callable[[Spot, nn.Module], bool] = lambda _spot, module: not is_norm(module)
    dtype: torch.dtype = torch.float32
    metadata: dict[str, str] = field(default_factory=dict)
    every: bool = True  # layer; else one of each sort


@dataclass(frozen=True)
class Peft:
    """Written by diffusers' own `save_lora_weights`."""

    settings: dict[str, Any]  # of peft.LoraConfig
    families: tuple[str, ...] = FAMILIES
    metadata: bool = (
        False  # the configuration goes into the file, as diffusers' training scripts do since 0.34
    )
    every: bool = False  # layer; else one of each sort


def build(kind: str, pipe: Any, path: Path, seed: int = 0) -> Path:
    """Write the file; leaves adapters of peft on `pipe`: see `take_off`."""
    recipe = KINDS[kind]
    generator = torch.Generator().manual_seed(seed)
    if isinstance(recipe, Peft):
        return _by_diffusers(recipe, pipe, path, generator)
    return write(recipe, pipe, path, generator)


def write(recipe: Kind, pipe: Any, path: Path, generator: torch.Generator) -> Path:
    tensors = {}
    for index, (name, module) in enumerate(_layers(recipe, pipe)):
        for ending, value in recipe.draw(module, generator, index).items():
            tensors[name + ending] = value.detach().to(recipe.dtype).contiguous().clone()
    save_file(tensors, path, recipe.metadata or None)
    return path


def _layers(recipe: Kind, pipe: Any) -> Iterator[tuple[str, nn.Module]]:
    known: set[Sort] = set()
    for name, spot in recipe.layout(pipe).items():
        module = fused(pipe, spot)
        if recipe.chosen(spot, module) and (recipe.every or sort_of(spot, module) not in known):
            known.add(sort_of(spot, module))
            yield name, module


def sort_of(spot: Spot, module: nn.Module) -> Sort:
    """What a formula could tell layers apart by: the network, the last name, the shape and how it is put."""
    names = tuple(re.sub(r"[\d.]+$", "", path).rpartition(".")[2] for path in spot.paths)
    return spot.component, names, tuple(module.weight.shape), getattr(module, "stride", 1), spot.swapped


def fused(pipe: Any, spot: Spot) -> nn.Module:
    """The layer as the trainer's model has it: the rows of all modules in one, halves in its own order."""
    modules = [getattr(pipe, spot.component).get_submodule(path) for path in spot.paths]
    if not isinstance(modules[0], nn.Linear):
        return modules[0]
    weight = torch.cat([module.weight.detach() for module in modules])
    biases = [module.bias for module in modules]
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=biases[0] is not None)
    made.weight.data = _swap(weight) if spot.swapped else weight.clone()
    if biases[0] is not None:
        bias = torch.cat([bias.detach() for bias in biases])
        made.bias.data = _swap(bias) if spot.swapped else bias.clone()
    return made


def _swap(rows: Tensor) -> Tensor:
    return torch.cat(rows.chunk(2)[::-1])


def is_norm(module: nn.Module) -> bool:
    return not isinstance(module, (nn.Linear, nn.Conv2d))


# --- which layers


def every_layer(spot: Spot, module: nn.Module) -> bool:
    """All that LyCORIS' preset "full" adapts, and the embeddings of time, text and size; not T5."""
    return not is_norm(module) and not _is_t5(spot) and "text_projection" not in spot.paths[0]


def attention_layers(spot: Spot, module: nn.Module) -> bool:
    """sd-scripts' default: `Transformer2DModel` (SD), the blocks (SD3, FLUX), CLIP's attention and MLP."""
    blocks = ("attentions.", "transformer_blocks.", "encoder.layers.")
    return every_layer(spot, module) and any(block in spot.paths[0] for block in blocks)


def with_t5(spot: Spot, module: nn.Module) -> bool:
    return attention_layers(spot, module) or (_is_t5(spot) and isinstance(module, nn.Linear))


def with_norms(spot: Spot, module: nn.Module) -> bool:
    """LyCORIS' `train_norm`: also the norms inside of blocks."""
    inside = spot.component == "unet" and "blocks" in spot.paths[0].replace("mid_block", "blocks")
    return every_layer(spot, module) or (is_norm(module) and inside)


def with_projection(spot: Spot, module: nn.Module) -> bool:
    return every_layer(spot, module) or "text_projection" in spot.paths[0]


def convolutions(spot: Spot, module: nn.Module) -> bool:
    return every_layer(spot, module) and isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1)


def unet_attention(spot: Spot, module: nn.Module) -> bool:
    return not is_norm(module) and spot.component in ("unet", "transformer") and "attn" in spot.paths[0]


def denoiser(spot: Spot, module: nn.Module) -> bool:
    return every_layer(spot, module) and spot.component in ("unet", "transformer")


def _is_t5(spot: Spot) -> bool:
    return "block." in spot.paths[0] and spot.component.startswith("text")


# --- the tensors of one layer


def noise(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator)


def low_rank(down: str, up: str, *, alpha: str = "", resized: bool = False, bias: str = "") -> Draw:
    """LoRA; a convolution is one of the same kernel and one of 1x1 (sd-scripts, networks/lora.py)."""

    def draw(module: nn.Module, generator: torch.Generator, index: int) -> dict[str, Tensor]:
        weight = module.weight.detach()
        rank = 1 + index % 4 if resized else 4
        strength = (0.5 + index % 3 if resized else 2.0) if alpha else float(rank)
        size = CHANGE * float(weight.std()) * rank**0.5 / strength
        ones = [1] * (weight.ndim - 2)
        found = {
            down: noise(generator, rank, *weight.shape[1:]),
            up: size * noise(generator, len(weight), rank, *ones),
        }
        if alpha:
            found[alpha] = torch.tensor(strength)
        if bias and module.bias is not None:
            found[bias] = 0.1 * noise(generator, len(weight))
        return found

    return draw


kohya_lora = low_rank(".lora_down.weight", ".lora_up.weight", alpha=".alpha")


def onetrainer_dora(module: nn.Module, generator: torch.Generator, index: int) -> dict[str, Tensor]:
    """OneTrainer, modules/module/LoRAModule.py, `DoRAModule`: the norm over all but the columns."""
    found = kohya_lora(module, generator, index)
    norm = module.weight.detach().transpose(0, 1).flatten(1).norm(dim=1)
    norm = norm.reshape(1, -1, *[1] * (module.weight.ndim - 2))
    found[".dora_scale"] = norm * (1 + 0.1 * noise(generator, *norm.shape))
    return found


def lycoris(name: str, **settings: Any) -> Draw:
    """One module of lycoris-lora, filled with noise, as its own `state_dict` saves it."""

    def draw(module: nn.Module, generator: torch.Generator, _index: int) -> dict[str, Tensor]:
        from lycoris.wrapper import network_module_dict

        made = network_module_dict[name]("", module, **{"lora_dim": 2, "alpha": 1.5, **settings})
        with torch.no_grad():
            _fill(made, generator)
            return {f".{key}": value for key, value in made.state_dict().items()}

    return draw


def lycoris_with_norms(module: nn.Module, generator: torch.Generator, index: int) -> dict[str, Tensor]:
    if not is_norm(module):
        return lycoris("locon")(module, generator, index)
    from lycoris.modules.norms import NormModule

    made = NormModule("", module)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(0.2 * noise(generator, *weight.shape))
    return {f".{key}": value for key, value in made.state_dict().items()}


def lycoris_full(module: nn.Module, generator: torch.Generator, _index: int) -> dict[str, Tensor]:
    from lycoris.modules.full import FullModule

    made = FullModule("", copy.deepcopy(module))
    with torch.no_grad():
        made.apply_to()  # from here on it holds the whole weight
        made.weight.add_(CHANGE * float(module.weight.std()) * noise(generator, *made.weight.shape))
        if made.bias is not None:
            made.bias.add_(0.1 * noise(generator, *made.bias.shape))
    return {f".{key}": value for key, value in made.state_dict().items()}


def _fill(made: Any, generator: torch.Generator) -> None:
    """Noise in every factor; the first one is then sized for the change wanted."""
    factors = dict(made.named_parameters())
    dora = factors.pop("dora_scale", None)
    if dora is None:
        dora = getattr(made, "dora_scale", None)
    for weight in factors.values():
        weight.copy_(noise(generator, *weight.shape))
    if dora is not None:
        dora.mul_(1 + 0.1 * noise(generator, *dora.shape))
    first = next(iter(factors.values()))
    if hasattr(made, "lora_dim") and hasattr(made, "scale"):  # linear in its first factor
        # `get_diff_weight` of LoHa and LoKr multiplies by the scale twice; the trained `forward` does not
        change = made.get_diff_weight()[0].std() / made.scale ** (made.name in ("loha", "kron"))
        first.mul_(CHANGE * made.org_module[0].weight.std() / change)
    else:  # orthogonal matrices and scales: near the identity
        for weight in factors.values():
            weight.mul_(0.1)


def sd_scripts_oft(module: nn.Module, generator: torch.Generator, _index: int) -> dict[str, Tensor]:
    """sd-scripts, networks/oft.py: as many blocks as `network_dim`, constrained by `alpha * out_dim`."""
    size = len(module.weight) // 4
    return {".oft_blocks": 0.1 * noise(generator, 4, size, size), ".alpha": torch.tensor(1e-2)}


# --- files that diffusers and peft write


def _by_diffusers(recipe: Peft, pipe: Any, path: Path, generator: torch.Generator) -> Path:
    """As diffusers' examples/dreambooth scripts: add an adapter, `get_peft_model_state_dict`, and save.

    The scripts' `add_adapter` is this call of peft's, behind transformers' check of peft's version.
    """
    from diffusers.training_utils import _collate_lora_metadata
    from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model

    layers, adapted = {}, {}
    for component in [name for name in layouts.parts(pipe) if _is_saved(pipe, name)]:
        model = getattr(pipe, component)
        targets = _targets(recipe, component, model)
        config = LoraConfig(target_modules=targets, **recipe.settings)
        inject_adapter_in_model(config, model, adapter_name="default")
        _fill_peft(model, generator)
        layers[f"{component}_lora_layers"] = get_peft_model_state_dict(model)
        adapted[component] = model
    metadata = _collate_lora_metadata(adapted) if recipe.metadata else {}
    type(pipe).save_lora_weights(path.parent, **layers, weight_name=path.name, **metadata)
    return path


def _targets(recipe: Peft, component: str, model: nn.Module) -> list[str]:
    sorts: dict[Sort, list[str]] = {}
    for name in layouts.paths_of(model):
        spot, module = Spot(component, (name,)), model.get_submodule(name)
        if every_layer(spot, module):
            sorts.setdefault(sort_of(spot, module), []).append(name)
    return [name for names in sorts.values() for name in (names if recipe.every else names[:1])]


def take_off(pipe: Any) -> None:
    """Take the adapters of peft off a pipeline that a file was built with."""
    from peft.tuners.lora import LoraLayer

    for model in layouts.parts(pipe).values():
        adapters = {name: part for name, part in model.named_modules() if isinstance(part, LoraLayer)}
        for name, part in adapters.items():
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, part.get_base_layer())
        vars(model).pop("peft_config", None)


def _is_saved(pipe: Any, component: str) -> bool:
    """`save_lora_weights` takes no T5."""
    return type(getattr(pipe, component)).__name__ != "T5EncoderModel"


def _fill_peft(model: nn.Module, generator: torch.Generator) -> None:
    from peft.tuners.lora import LoraLayer

    with torch.no_grad():
        for layer in (part for part in model.modules() if isinstance(part, LoraLayer)):
            down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            down.copy_(noise(generator, *down.shape))
            size = CHANGE * float(layer.get_base_layer().weight.std()) / len(down) ** 0.5
            up.copy_(size / layer.scaling["default"] * noise(generator, *up.shape))
            if layer.lora_magnitude_vector:
                magnitude = layer.lora_magnitude_vector["default"].weight
                magnitude.mul_(1 + 0.1 * noise(generator, *magnitude.shape))


_PATTERNS = {
    "rank_pattern": {"to_q": 2, "to_k": 3, "linear": 2},
    "alpha_pattern": {"to_q": 5, "to_v": 1, "fc1": 7},
}

AI_TOOLKIT = {
    "format": "pt",
    "software": '{"name": "ai-toolkit", "repo": "https://github.com/ostris/ai-toolkit"}',
}
SD_SCRIPTS = {"ss_network_module": "networks.lora", "ss_network_dim": "4", "ss_network_alpha": "2.0"}
LYCORIS = {"ss_network_module": "lycoris.kohya"}

KINDS: dict[str, Kind | Peft] = {
    "diffusers (PEFT)": Peft({"r": 4, "lora_alpha": 4}, every=True),
    "diffusers, strength in the metadata": Peft({"r": 4, "lora_alpha": 2}, metadata=True),
    "diffusers, ranks and alphas by layer": Peft({"r": 4, "lora_alpha": 2, **_PATTERNS}, metadata=True),
    "diffusers, rsLoRA": Peft({"r": 4, "lora_alpha": 3, "use_rslora": True}, metadata=True),
    "diffusers, DoRA": Peft({"r": 4, "lora_alpha": 2, "use_dora": True}, metadata=True),
    "diffusers, `.lora.down`": Kind(
        layouts.diffusers, low_rank(".lora.down.weight", ".lora.up.weight"), UNETS, denoiser
    ),
    "diffusers, attention processors": Kind(
        layouts.processors, low_rank(".down.weight", ".up.weight"), UNETS
    ),
    "PEFT adapter": Kind(
        layouts.peft_adapter, low_rank(".lora_A.weight", ".lora_B.weight"), chosen=unet_attention
    ),
    "kohya LoRA": Kind(
        layouts.kohya, kohya_lora, chosen=attention_layers, dtype=torch.float16, metadata=SD_SCRIPTS
    ),
    "kohya LoRA, all layers": Kind(layouts.kohya, kohya_lora, chosen=every_layer, metadata=SD_SCRIPTS),
    "kohya LoRA with T5": Kind(layouts.kohya, kohya_lora, TRANSFORMERS, with_t5, metadata=SD_SCRIPTS),
    "kohya LoRA, resized": Kind(
        layouts.kohya,
        low_rank(".lora_down.weight", ".lora_up.weight", alpha=".alpha", resized=True),
        chosen=every_layer,
        every=False,
    ),
    "kohya OFT": Kind(layouts.kohya_oft, sd_scripts_oft, chosen=unet_attention),
    "LyCORIS LoCon": Kind(layouts.kohya, lycoris("locon"), chosen=every_layer, metadata=LYCORIS),
    "LyCORIS LoCon, Tucker": Kind(
        layouts.kohya, lycoris("locon", use_tucker=True), UNETS, convolutions, metadata=LYCORIS, every=False
    ),
    "LyCORIS LoCon with norms": Kind(layouts.kohya, lycoris_with_norms, UNETS, with_norms, metadata=LYCORIS),
    "LyCORIS LoHa": Kind(layouts.kohya, lycoris("loha"), chosen=every_layer, metadata=LYCORIS, every=False),
    "LyCORIS LoHa, Tucker": Kind(
        layouts.kohya, lycoris("loha", use_tucker=True), UNETS, convolutions, metadata=LYCORIS, every=False
    ),
    "LyCORIS LoKr": Kind(layouts.kohya, lycoris("lokr"), chosen=every_layer, metadata=LYCORIS, every=False),
    "LyCORIS LoKr, both factored": Kind(
        layouts.kohya,
        lycoris("lokr", lora_dim=1, decompose_both=True),
        chosen=every_layer,
        metadata=LYCORIS,
        every=False,
    ),
    "LyCORIS LoKr, full matrix": Kind(
        layouts.kohya,
        lycoris("lokr", full_matrix=True, factor=4),
        chosen=every_layer,
        metadata=LYCORIS,
        every=False,
    ),
    "LyCORIS LoKr, Tucker": Kind(
        layouts.kohya, lycoris("lokr", use_tucker=True), UNETS, convolutions, metadata=LYCORIS, every=False
    ),
    "LyCORIS DoRA, rows": Kind(
        layouts.kohya,
        lycoris("locon", weight_decompose=True),
        chosen=every_layer,
        metadata=LYCORIS,
        every=False,
    ),
    "LyCORIS DoRA, columns": Kind(
        layouts.kohya,
        lycoris("locon", weight_decompose=True, wd_on_out=False),
        chosen=every_layer,
        metadata=LYCORIS,
        every=False,
    ),
    "LyCORIS LoHa with DoRA": Kind(
        layouts.kohya,
        lycoris("loha", weight_decompose=True),
        chosen=every_layer,
        metadata=LYCORIS,
        every=False,
    ),
    "LyCORIS LoKr with DoRA": Kind(
        layouts.kohya,
        lycoris("lokr", weight_decompose=True),
        chosen=every_layer,
        metadata=LYCORIS,
        every=False,
    ),
    "LyCORIS full": Kind(layouts.kohya, lycoris_full, chosen=every_layer, metadata=LYCORIS, every=False),
    "LyCORIS (IA)3": Kind(layouts.kohya, lycoris("ia3"), chosen=unet_attention, metadata=LYCORIS),
    "LyCORIS Diag-OFT": Kind(layouts.kohya, lycoris("diag-oft"), chosen=unet_attention, metadata=LYCORIS),
    "LyCORIS BOFT": Kind(
        layouts.kohya, lycoris("boft", lora_dim=14), chosen=unet_attention, metadata=LYCORIS
    ),
    "LyCORIS GLoRA": Kind(layouts.kohya, lycoris("glora"), chosen=unet_attention, metadata=LYCORIS),
    "LyCORIS' own wrapper (SimpleTuner), LoKr": Kind(
        layouts.own_wrapper, lycoris("lokr"), chosen=denoiser, metadata={"format": "pt"}
    ),
    "OneTrainer LoRA": Kind(layouts.onetrainer, kohya_lora, chosen=with_projection),
    "OneTrainer DoRA": Kind(layouts.onetrainer, onetrainer_dora, chosen=every_layer, every=False),
    "ai-toolkit LoRA": Kind(
        layouts.diffusers,
        low_rank(".lora_A.weight", ".lora_B.weight"),
        TRANSFORMERS,
        denoiser,
        torch.bfloat16,
        AI_TOOLKIT,
    ),
    "ai-toolkit LoKr": Kind(
        layouts.diffusers, lycoris("lokr"), TRANSFORMERS, denoiser, metadata=AI_TOOLKIT, every=False
    ),
    "ComfyUI (`diffusion_model.`)": Kind(
        layouts.comfyui, low_rank(".lora_A.weight", ".lora_B.weight"), chosen=denoiser
    ),
    "BFL names": Kind(layouts.bfl, low_rank(".lora_A.weight", ".lora_B.weight"), FLUX, denoiser),
    "BFL names with biases": Kind(
        layouts.bfl,
        low_rank(".lora_A.weight", ".lora_B.weight", bias=".lora_B.bias"),
        FLUX,
        denoiser,
        every=False,
    ),
    "XLabs": Kind(layouts.xlabs, low_rank(".down.weight", ".up.weight"), FLUX),
}
