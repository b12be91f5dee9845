"""How trainers name the layers of each family, and which modules of diffusers' model each name means.

Written out here and used by the tests alone. `tests/test_layouts.py` holds it against diffusers' own
conversion of checkpoints, which is other people's work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import native_layouts
from torch import nn

COMPONENTS = ("unet", "transformer", *(f"text_encoder{number}" for number in ("", "_2", "_3", "_4")))
QKV, ADDED = ("to_q", "to_k", "to_v"), ("add_q_proj", "add_k_proj", "add_v_proj")


@dataclass(frozen=True)
class Spot:
    """Where one layer of a file belongs."""

    component: str
    paths: tuple[str, ...]  # modules of the component, in the order of the output rows
    swapped: bool = False  # diffusers keeps the halves of the rows in the other order


Names = Mapping[str, Spot]  # what stands before the ending (".lora_A.weight", ...) -> where it belongs


def parts(pipe: Any) -> dict[str, nn.Module]:
    """The models of the pipeline that LoRAs are made for."""
    found = {name: getattr(pipe, name, None) for name in COMPONENTS}
    return {name: module for name, module in found.items() if module is not None}


def is_family(pipe: Any, *names: str) -> bool:
    return type(pipe).__name__.removesuffix("Pipeline") in names


def paths_of(module: nn.Module) -> list[str]:
    """Modules with a weight that trainers may adapt: linear layers, convolutions and norms.

    Downsample2D registers its convolution twice, and T5 its embeddings; only `conv` is called.
    """
    kinds = (nn.Linear, nn.Conv2d, nn.GroupNorm, nn.LayerNorm)
    return [
        name
        for name, part in module.named_modules(remove_duplicate=False)
        if isinstance(part, kinds) and part.weight is not None and not name.endswith("Conv2d_0")
    ]


def diffusers(pipe: Any) -> Names:
    """`unet.down_blocks...`; transformers 4 has `text_model.` before the layers of CLIP, 5 has not.

    diffusers/loaders/lora_pipeline.py, `save_lora_weights`.
    """
    return {
        f"{component}.{prefix}{path}": Spot(component, (path,))
        for component, module in parts(pipe).items()
        for path in paths_of(module)
        for prefix in ({"", _clip_prefix(path)} if component.startswith("text") else {""})
    }


def _clip_prefix(path: str) -> str:
    """T5's layers are `encoder.block`, CLIP's `encoder.layers`, with or without `text_model.`"""
    return "text_model." if path.startswith(("encoder.layers", "final_layer_norm")) else ""


def kohya(pipe: Any) -> Names:
    """sd-scripts, networks/lora.py, lora_sd3.py, lora_flux.py: `lora_unet_` and its own model's names."""
    if is_family(pipe, "StableDiffusion"):
        return {**_flat("lora_unet_", own(pipe)), **_kohya_text(pipe)}
    return {**_flat("lora_unet_", original(pipe)), **_kohya_text(pipe)}


def kohya_oft(pipe: Any) -> Names:
    """sd-scripts, networks/oft.py and oft_flux.py, `OFT_PREFIX_UNET`; text encoders are not trained."""
    names = kohya(pipe).items()
    return {"oft" + name[4:]: spot for name, spot in names if name.startswith("lora_unet_")}


def own(pipe: Any) -> Names:
    """diffusers' bare module names of the model that denoises."""
    component, module = next(iter(parts(pipe).items()))
    return {path: Spot(component, (path,)) for path in paths_of(module)}


def _flat(prefix: str, names: Names) -> dict[str, Spot]:
    return {prefix + name.replace(".", "_"): spot for name, spot in names.items()}


def _kohya_text(pipe: Any) -> dict[str, Spot]:
    """`lora_te_` for the only text encoder, else `lora_te1_`, `lora_te2_`; T5 is `lora_te3_` everywhere."""
    found: dict[str, Spot] = {}
    for component, module in parts(pipe).items():
        if not component.startswith("text"):
            continue
        number = "3" if type(module).__name__.startswith("T5") else component.removeprefix("text_encoder_")
        number = "1" if number == "text_encoder" else number
        prefix = "lora_te_" if is_family(pipe, "StableDiffusion") else f"lora_te{number}_"
        for path in paths_of(module):
            bare = path.removeprefix("text_model.")
            found[prefix + (_clip_prefix(bare) + bare).replace(".", "_")] = Spot(component, (path,))
    return found


def original(pipe: Any) -> Names:
    """Names of the model as its makers published it."""
    if is_family(pipe, "Flux"):
        return bfl(pipe)
    if is_family(pipe, "StableDiffusion3"):
        return mmdit(pipe)
    if not is_family(pipe, "StableDiffusion", "StableDiffusionXL"):
        native = native_layouts.rows(pipe.transformer)
        return own(pipe) if native is None else dict(_present(pipe.transformer, native))
    return {ldm(path, pipe.unet): Spot("unet", (path,)) for path in paths_of(pipe.unet)}


_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_BLOCK = re.compile(r"(down|mid|up)_blocks?(?:\.(\d+))?\.(resnets|attentions|\w+samplers)\.(\d+)\.(.+)")


def ldm(path: str, unet: Any) -> str:
    """Stability's generative-models, sgm/modules/diffusionmodules/openaimodel.py, two layers a block."""
    match = _BLOCK.fullmatch(path)
    if match is None:
        return _ENDS[path]
    where, level, kind, index, rest = match.groups()
    rest = _RESNET[rest] if kind == "resnets" else rest
    if where == "mid":
        return f"middle_block.{2 * int(index) if kind == 'resnets' else 1}.{rest}"
    if kind == "downsamplers":
        return f"input_blocks.{3 * int(level) + 3}.0.op"
    if kind == "upsamplers":
        attends = hasattr(unet.up_blocks[int(level)], "attentions")
        return f"output_blocks.{3 * int(level) + 2}.{2 if attends else 1}.{rest}"
    number = 3 * int(level) + int(index)
    block = f"input_blocks.{number + 1}" if where == "down" else f"output_blocks.{number}"
    return f"{block}.{0 if kind == 'resnets' else 1}.{rest}"


def bfl(pipe: Any) -> Names:
    """black-forest-labs/flux, src/flux/model.py and modules/layers.py."""
    return dict(_present(pipe.transformer, _bfl(pipe.transformer.config)))


def _bfl(config: Any) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    for number in range(config.num_layers):
        old, new = f"double_blocks.{number}", f"transformer_blocks.{number}"
        for stream, norm, qkv, out, ff in (
            ("img", "norm1", QKV, "to_out.0", "ff"),
            ("txt", "norm1_context", ADDED, "to_add_out", "ff_context"),
        ):
            yield f"{old}.{stream}_mod.lin", (f"{new}.{norm}.linear",), False
            yield f"{old}.{stream}_attn.qkv", tuple(f"{new}.attn.{part}" for part in qkv), False
            yield f"{old}.{stream}_attn.proj", (f"{new}.attn.{out}",), False
            yield f"{old}.{stream}_mlp.0", (f"{new}.{ff}.net.0.proj",), False
            yield f"{old}.{stream}_mlp.2", (f"{new}.{ff}.net.2",), False
    for number in range(config.num_single_layers):
        old, new = f"single_blocks.{number}", f"single_transformer_blocks.{number}"
        yield f"{old}.modulation.lin", (f"{new}.norm.linear",), False
        yield f"{old}.linear1", (*(f"{new}.attn.{part}" for part in QKV), f"{new}.proj_mlp"), False
        yield f"{old}.linear2", (f"{new}.proj_out",), False
    yield "img_in", ("x_embedder",), False
    yield "txt_in", ("context_embedder",), False
    for old, new in (("time", "timestep"), ("vector", "text"), ("guidance", "guidance")):
        yield f"{old}_in.in_layer", (f"time_text_embed.{new}_embedder.linear_1",), False
        yield f"{old}_in.out_layer", (f"time_text_embed.{new}_embedder.linear_2",), False
    yield "final_layer.linear", ("proj_out",), False
    yield "final_layer.adaLN_modulation.1", ("norm_out.linear",), True


def mmdit(pipe: Any) -> Names:
    """Stability-AI/sd3.5, mmditx.py."""
    return dict(_present(pipe.transformer, _mmdit(pipe.transformer.config)))


def _mmdit(config: Any) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    for number in range(config.num_layers):
        old, new = f"joint_blocks.{number}", f"transformer_blocks.{number}"
        last = (
            number == config.num_layers - 1
        )  # its context has only a scale and a shift, swapped in diffusers
        for stream, norm, qkv, out, ff in (
            ("x_block", "norm1", QKV, "to_out.0", "ff"),
            ("context_block", "norm1_context", ADDED, "to_add_out", "ff_context"),
        ):
            swapped = last and stream == "context_block"
            yield f"{old}.{stream}.adaLN_modulation.1", (f"{new}.{norm}.linear",), swapped
            yield f"{old}.{stream}.attn.qkv", tuple(f"{new}.attn.{part}" for part in qkv), False
            yield f"{old}.{stream}.attn.proj", (f"{new}.attn.{out}",), False
            yield f"{old}.{stream}.mlp.fc1", (f"{new}.{ff}.net.0.proj",), False
            yield f"{old}.{stream}.mlp.fc2", (f"{new}.{ff}.net.2",), False
        yield f"{old}.x_block.attn2.qkv", tuple(f"{new}.attn2.{part}" for part in QKV), False
        yield f"{old}.x_block.attn2.proj", (f"{new}.attn2.to_out.0",), False
    yield "x_embedder.proj", ("pos_embed.proj",), False
    yield "context_embedder", ("context_embedder",), False
    for old, new in (("t", "timestep"), ("y", "text")):
        yield f"{old}_embedder.mlp.0", (f"time_text_embed.{new}_embedder.linear_1",), False
        yield f"{old}_embedder.mlp.2", (f"time_text_embed.{new}_embedder.linear_2",), False
    yield "final_layer.linear", ("proj_out",), False
    yield "final_layer.adaLN_modulation.1", ("norm_out.linear",), True


def _present(
    transformer: nn.Module, rows: Iterator[tuple[str, tuple[str, ...], bool]]
) -> Iterator[tuple[str, Spot]]:
    """Without the layers that this model lacks: a second attention, a guidance, the last block's context."""
    have = set(paths_of(transformer))
    for name, paths, swapped in rows:
        if have.issuperset(paths):
            yield name, Spot("transformer", paths, swapped)


def xlabs(pipe: Any) -> Names:
    """XLabs-AI/x-flux, src/flux/modules/layers.py: `DoubleStreamBlockLoraProcessor`, `SingleStream...`."""
    places = {
        "double_blocks.{}.img_attn.qkv": "double_blocks.{}.processor.qkv_lora1",
        "double_blocks.{}.img_attn.proj": "double_blocks.{}.processor.proj_lora1",
        "double_blocks.{}.txt_attn.qkv": "double_blocks.{}.processor.qkv_lora2",
        "double_blocks.{}.txt_attn.proj": "double_blocks.{}.processor.proj_lora2",
        "single_blocks.{}.linear1": "single_blocks.{}.processor.qkv_lora",
        "single_blocks.{}.linear2": "single_blocks.{}.processor.proj_lora",
    }
    found = {}
    for name, spot in bfl(pipe).items():
        number = name.split(".")[1] if "_blocks." in name else ""
        new = places.get(name.replace(f".{number}.", ".{}.", 1)) if number else None
        if new:  # of a single block's first layer only the rows of q, k and v
            found[new.format(number)] = Spot(spot.component, spot.paths[:3])
    return found


def processors(pipe: Any) -> Names:
    """diffusers up to 0.21: `LoRAAttnProcessor` of models/attention_processor.py, whose `to_out` has no `0`,
    and the text encoder's attention as loaders.py patched it.
    """
    found = {}
    for component, module in parts(pipe).items():
        for path in paths_of(module):
            if match := re.search(r"(.+\.attn[12])\.(to_\w+)(\.0)?", path):
                found[f"{component}.{match[1]}.processor.{match[2]}_lora"] = Spot(component, (path,))
            if match := re.search(r"(encoder\.layers.+self_attn)\.(q|k|v|out)_proj", path):
                found[f"{component}.text_model.{match[1]}.to_{match[2]}_lora"] = Spot(component, (path,))
    return found


def own_wrapper(pipe: Any) -> Names:
    """LyCORIS' `create_lycoris(model)`, wrapper.py, `LORA_PREFIX`; SimpleTuner saves it so."""
    return _flat("lycoris_", own(pipe))


def onetrainer(pipe: Any) -> Names:
    """OneTrainer, modules/util/convert/lora: the prefix and diffusers' names, with `_` for `.`"""
    component = next(iter(parts(pipe)))
    prefix = "lora_unet_" if component == "unet" else "lora_transformer_"
    return {**_flat(prefix, own(pipe)), **_kohya_text(pipe)}


def comfyui(pipe: Any) -> Names:
    """ComfyUI, comfy/lora.py, `model_lora_keys_unet`: any model's own names after `diffusion_model.`"""
    return {f"diffusion_model.{name}": spot for name, spot in original(pipe).items()}


def peft_adapter(pipe: Any) -> Names:
    """PEFT, utils/save_and_load.py: `save_pretrained` of one model."""
    return {f"base_model.model.{name}": spot for name, spot in own(pipe).items()}


def every(pipe: Any) -> dict[str, Spot]:
    """All spellings at once."""
    makers = [diffusers, kohya, own, original, own_wrapper, onetrainer, comfyui, peft_adapter]
    makers += [xlabs] if is_family(pipe, "Flux") else []
    makers += [processors] if hasattr(pipe, "unet") else []
    return {name: spot for make in makers for name, spot in make(pipe).items()}
