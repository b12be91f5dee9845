"""The makers' own names of the layers of today's transformers, where they differ from diffusers'.

Read from the makers' code and written out here, for the tests alone; `tests/diffusion/test_layouts.py` holds
them against diffusers' conversion of checkpoints. A row is a native name, the modules of diffusers' model in
the order of its output rows, and whether diffusers keeps the halves of the rows in the other order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Row = tuple[str, tuple[str, ...], bool]
QKV, ADDED = ("to_q", "to_k", "to_v"), ("add_q_proj", "add_k_proj", "add_v_proj")


def rows(transformer: Any) -> Iterator[Row] | None:
    """The rows of a model; None where its native names are diffusers' (Qwen-Image, HiDream)."""
    make = _MAKERS.get(type(transformer).__name__)
    return make(transformer) if make else None


def one(native: str, *paths: str) -> Row:
    return native, paths, False


def _flux2(transformer: Any) -> Iterator[Row]:
    """black-forest-labs/flux2, src/flux2/model.py."""
    config = transformer.config
    for number in range(config.num_layers):
        old, new = f"double_blocks.{number}", f"transformer_blocks.{number}"
        for stream, names, out, ff in (
            ("img", QKV, "to_out.0", "ff"),
            ("txt", ADDED, "to_add_out", "ff_context"),
        ):
            yield one(f"{old}.{stream}_attn.qkv", *(f"{new}.attn.{name}" for name in names))
            yield one(f"{old}.{stream}_attn.proj", f"{new}.attn.{out}")
            yield one(f"{old}.{stream}_mlp.0", f"{new}.{ff}.linear_in")
            yield one(f"{old}.{stream}_mlp.2", f"{new}.{ff}.linear_out")
    for number in range(config.num_single_layers):
        old, new = f"single_blocks.{number}", f"single_transformer_blocks.{number}.attn"
        yield one(f"{old}.linear1", f"{new}.to_qkv_mlp_proj")
        yield one(f"{old}.linear2", f"{new}.to_out")
    for stream in (
        "double_stream_modulation_img",
        "double_stream_modulation_txt",
        "single_stream_modulation",
    ):
        yield one(f"{stream}.lin", f"{stream}.linear")
    yield one("img_in", "x_embedder")
    yield one("txt_in", "context_embedder")
    for name, embedder in (("time", "timestep"), ("guidance", "guidance")):
        yield one(f"{name}_in.in_layer", f"time_guidance_embed.{embedder}_embedder.linear_1")
        yield one(f"{name}_in.out_layer", f"time_guidance_embed.{embedder}_embedder.linear_2")
    yield one("final_layer.linear", "proj_out")
    yield "final_layer.adaLN_modulation.1", ("norm_out.linear",), True


def _chroma(transformer: Any) -> Iterator[Row]:
    """lodestone-rock/flow, src/models/chroma/model_dct.py: FLUX.1's blocks without their modulations."""
    config = transformer.config
    for number in range(config.num_layers):
        old, new = f"double_blocks.{number}", f"transformer_blocks.{number}"
        for stream, names, out, ff in (
            ("img", QKV, "to_out.0", "ff"),
            ("txt", ADDED, "to_add_out", "ff_context"),
        ):
            yield one(f"{old}.{stream}_attn.qkv", *(f"{new}.attn.{name}" for name in names))
            yield one(f"{old}.{stream}_attn.proj", f"{new}.attn.{out}")
            yield one(f"{old}.{stream}_mlp.0", f"{new}.{ff}.net.0.proj")
            yield one(f"{old}.{stream}_mlp.2", f"{new}.{ff}.net.2")
    for number in range(config.num_single_layers):
        old, new = f"single_blocks.{number}", f"single_transformer_blocks.{number}"
        yield one(f"{old}.linear1", *(f"{new}.attn.{name}" for name in QKV), f"{new}.proj_mlp")
        yield one(f"{old}.linear2", f"{new}.proj_out")
    guidance = "distilled_guidance_layer"
    for number in range(config.approximator_layers):
        yield one(f"{guidance}.layers.{number}.in_layer", f"{guidance}.layers.{number}.linear_1")
        yield one(f"{guidance}.layers.{number}.out_layer", f"{guidance}.layers.{number}.linear_2")
    yield one(f"{guidance}.in_proj", f"{guidance}.in_proj")
    yield one(f"{guidance}.out_proj", f"{guidance}.out_proj")
    yield one("img_in", "x_embedder")
    yield one("txt_in", "context_embedder")
    yield one("final_layer.linear", "proj_out")


def _z_image(transformer: Any) -> Iterator[Row]:
    """Tongyi-MAI/Z-Image, src/zimage/transformer.py; the model of Lumina 2 with other ends."""
    for block in _blocks(transformer):
        yield one(f"{block}.attention.qkv", *(f"{block}.attention.{name}" for name in QKV))
        yield one(f"{block}.attention.out", f"{block}.attention.to_out.0")
        for name in ("feed_forward.w1", "feed_forward.w2", "feed_forward.w3", "adaLN_modulation.0"):
            yield one(f"{block}.{name}", f"{block}.{name}")
    yield one("x_embedder", "all_x_embedder.2-1")
    yield one("cap_embedder.1", "cap_embedder.1")
    yield one("t_embedder.mlp.0", "t_embedder.mlp.0")
    yield one("t_embedder.mlp.2", "t_embedder.mlp.2")
    yield one("final_layer.linear", "all_final_layer.2-1.linear")
    yield one("final_layer.adaLN_modulation.1", "all_final_layer.2-1.adaLN_modulation.1")


def _lumina2(transformer: Any) -> Iterator[Row]:
    """Alpha-VLLM/Lumina-Image-2.0, models/model.py."""
    for block in _blocks(transformer):
        yield one(f"{block}.attention.qkv", *(f"{block}.attn.{name}" for name in QKV))
        yield one(f"{block}.attention.out", f"{block}.attn.to_out.0")
        for number in "123":
            yield one(f"{block}.feed_forward.w{number}", f"{block}.feed_forward.linear_{number}")
        yield one(f"{block}.adaLN_modulation.1", f"{block}.norm1.linear")
    yield one("x_embedder", "x_embedder")
    yield one("cap_embedder.1", "time_caption_embed.caption_embedder.1")
    yield one("t_embedder.mlp.0", "time_caption_embed.timestep_embedder.linear_1")
    yield one("t_embedder.mlp.2", "time_caption_embed.timestep_embedder.linear_2")
    yield one("final_layer.adaLN_modulation.1", "norm_out.linear_1")
    yield one("final_layer.linear", "norm_out.linear_2")


def _cosmos(transformer: Any) -> Iterator[Row]:
    """nvidia-cosmos/cosmos-predict2, models/text2image_dit.py (MinimalV1LVGDiT), which Anima was made of."""
    linears = (("1", "linear_1"), ("2", "linear_2"))
    for number in range(transformer.config.num_layers):
        old, new = f"blocks.{number}", f"transformer_blocks.{number}"
        for place, (attention, kind) in enumerate((("attn1", "self_attn"), ("attn2", "cross_attn")), start=1):
            for name in "qkv":
                yield one(f"{old}.{kind}.{name}_proj", f"{new}.{attention}.to_{name}")
            yield one(f"{old}.{kind}.output_proj", f"{new}.{attention}.to_out.0")
            for native, name in linears:
                yield one(f"{old}.adaln_modulation_{kind}.{native}", f"{new}.norm{place}.{name}")
        for native, name in linears:
            yield one(f"{old}.adaln_modulation_mlp.{native}", f"{new}.norm3.{name}")
        yield one(f"{old}.mlp.layer1", f"{new}.ff.net.0.proj")
        yield one(f"{old}.mlp.layer2", f"{new}.ff.net.2")
    for native, name in linears:
        yield one(f"final_layer.adaln_modulation.{native}", f"norm_out.{name}")
        yield one(f"t_embedder.1.linear_{native}", f"time_embed.t_embedder.linear_{native}")
    yield one("x_embedder.proj.1", "patch_embed.proj")
    yield one("final_layer.linear", "proj_out")


def _krea2(transformer: Any) -> Iterator[Row]:
    """krea-ai/krea-2, mmdit.py."""
    config = transformer.config
    stacks = {f"blocks.{number}": f"transformer_blocks.{number}" for number in range(config.num_layers)}
    for kind, count in (
        ("layerwise", config.num_layerwise_text_blocks),
        ("refiner", config.num_refiner_text_blocks),
    ):
        stacks |= {f"txtfusion.{kind}_blocks.{n}": f"text_fusion.{kind}_blocks.{n}" for n in range(count)}
    for old, new in stacks.items():
        for native, name in (
            ("wq", "to_q"),
            ("wk", "to_k"),
            ("wv", "to_v"),
            ("wo", "to_out.0"),
            ("gate", "to_gate"),
        ):
            yield one(f"{old}.attn.{native}", f"{new}.attn.{name}")
        for name in ("gate", "up", "down"):
            yield one(f"{old}.mlp.{name}", f"{new}.ff.{name}")
    yield one("txtfusion.projector", "text_fusion.projector")
    yield one("first", "img_in")
    yield one("tmlp.0", "time_embed.linear_1")
    yield one("tmlp.2", "time_embed.linear_2")
    yield one("tproj.1", "time_mod_proj")
    yield one("txtmlp.1", "txt_in.linear_1")
    yield one("txtmlp.3", "txt_in.linear_2")
    yield one("last.linear", "final_layer.linear")


def _blocks(transformer: Any) -> Iterator[str]:
    for stack in ("noise_refiner", "context_refiner", "layers"):
        yield from (f"{stack}.{number}" for number in range(len(getattr(transformer, stack))))


_MAKERS: dict[str, Callable[[Any], Iterator[Row]]] = {
    "CosmosTransformer3DModel": _cosmos,
    "ChromaTransformer2DModel": _chroma,
    "Flux2Transformer2DModel": _flux2,
    "Krea2Transformer2DModel": _krea2,
    "Lumina2Transformer2DModel": _lumina2,
    "ZImageTransformer2DModel": _z_image,
}
