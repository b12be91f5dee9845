"""Whole safetensors files that are no LoRA, or a LoRA with parts missing or of two minds."""

# ruff: noqa: E501  # a table: one row for each file
from __future__ import annotations

import json

import numpy as np
from safetensors.numpy import save

from .entry import GOOD, KOHYA, Entry, K, Q, Tensors, kohya, layer, peft, raw, recast, typed, without

ONES = np.ones((2, 2), np.float32)
ONLY = "only LoRAs are gated"
UNKNOWN = "has no LoRA keys among its {} tensors, such as {}"
FLAT = f"has tensor '{Q}.lora_A.weight' of shape {{}}, which is no matrix"
NO_FLOATS = f"has tensor '{Q}.lora_…' of dtype {{}}; read are F16, BF16, F32"
REFUSED = "it cannot be applied here: train a LoRA, DoRA, LoHa or LoKr"
LLM = "base_model.model.model.layers.0.self_attn.q_proj"
CLONEOFSIMO = "is in the format of cloneofsimo's lora, which numbers the layers instead of naming them"
CLASSES = {"unet": '["CrossAttention", "Attention", "GEGLU"]'}
CONTROL = "is a FLUX control LoRA ('{}'), which takes a control picture beside the prompt; only LoRAs that are used with a prompt alone are gated"
DATA_AT = 8 + GOOD[0] + 256 * GOOD[1]


def cloneofsimo() -> Tensors:
    return {"unet:0:down": np.ones((4, 8), np.float16), "unet:0:up": np.ones((16, 4), np.float16)}


def control() -> Tensors:
    """As diffusers' train_control_lora_flux.py writes it: twice FLUX.1's 64 channels go in."""
    input_layer = {"lora_A.weight": (4, 128), "lora_B.weight": (16, 4)}
    wide = {
        f"transformer.x_embedder.{part}": np.ones(shape, np.float16) for part, shape in input_layer.items()
    }
    return layer("transformer.transformer_blocks.0.norm1.linear") | wide


def loha(**changes: object) -> bytes:
    parts = {f"{KOHYA}.hada_w{half}_{side}": ONES for half in "12" for side in "ab"}
    return save(parts | {f"{KOHYA}.{part}": value for part, value in changes.items()})


def lokr(**parts: object) -> bytes:
    return save({f"{KOHYA}.lokr_{part}": value for part, value in parts.items()})


def dora(tensors: Tensors, magnitude: object) -> bytes:
    return save(tensors | {f"{KOHYA}.dora_scale": np.asarray(magnitude, np.float32)})


OTHER = (
    Entry("no tensors", raw({}), "holds no tensors"),
    Entry("metadata only", raw({"__metadata__": {"format": "pt"}}), "holds no tensors"),
    *(
        Entry(
            f"checkpoint of {what}",
            save({key: ONES}),
            f"is a full checkpoint (1 tensors such as '{key}'), not a LoRA",
        )
        for what, key in {
            "Stable Diffusion": "model.diffusion_model.out.0.weight",
            "a UNet": "down_blocks.0.resnets.0.conv1.weight",
            "a VAE": "first_stage_model.decoder.conv_in.weight",
            "FLUX.1": "double_blocks.0.img_attn.qkv.weight",
            "SD3": "joint_blocks.0.x_block.attn.qkv.weight",
        }.items()
    ),
    Entry("language model", save({"model.layers.0.self_attn.q_proj.weight": ONES}), UNKNOWN.format(1, "'model.layers.0.self_attn.q_proj.weight'")),
    Entry("VAE", save({"decoder.conv_in.weight": ONES}), UNKNOWN.format(1, "'decoder.conv_in.weight'")),
    Entry("ControlNet", save({"controlnet_cond_embedding.conv_in.weight": ONES}), UNKNOWN.format(1, "'controlnet_cond_embedding.conv_in.weight'")),
    Entry("Control-LoRA", save({"lora_controlnet": ONES, "input_blocks.0.0.weight": ONES}), f"is a Control-LoRA, which adapts a ControlNet and not the base ('lora_controlnet'); {ONLY}"),
    Entry("IP-Adapter", save({"ip_adapter.1.to_k_ip.weight": ONES}), UNKNOWN.format(1, "'ip_adapter.1.to_k_ip.weight'")),
    Entry("textual inversion", save({"emb_params": ONES}), f"is a textual inversion ('emb_params'); {ONLY}"),
    Entry("textual inversion of SDXL", save({"clip_l": ONES, "clip_g": ONES}), f"is a textual inversion ('clip_…' and 'clip_…'); {ONLY}"),
    Entry("textual inversion by diffusers", save({"<token>": np.ones((1, 768), np.float32)}), f"is a textual inversion ('<token>'); {ONLY}"),
    Entry("textual inversion by a plain word", save({"sks": np.ones((2, 768), np.float32)}), f"is a textual inversion ('sks'); {ONLY}"),
    Entry("textual inversion by A1111", save({"string_to_param.*": np.ones((2, 768), np.float32)}), f"is a textual inversion ('string_to_param.*'); {ONLY}"),
    Entry("LoRA of Segment Anything", save({"w_a_000": np.ones((4, 8), np.float32), "w_b_000": np.ones((8, 4), np.float32)}), "is a LoRA of Segment Anything ('w_…_000'), which makes masks; only image models' are gated"),
    Entry("cloneofsimo's format without metadata", save(cloneofsimo()), f"{CLONEOFSIMO}, and its metadata does not say of which modules ('unet'); write it anew with names: diffusers' (unet.) or kohya's (lora_unet_)"),
    *(
        Entry(f"cloneofsimo's format of {text[:9]}", save(cloneofsimo(), {"unet": text}), f"{CLONEOFSIMO}, and its metadata does not say of which modules ('unet'); …")
        for text in ("[", "{}", "[]", "[1]", "[" * 100_000, " " * 20_000)
    ),
    Entry("cloneofsimo's format of convolutions", save(cloneofsimo(), {"unet": '["ResnetBlock2D", "Attention"]'}), f"{CLONEOFSIMO}, and was trained on modules of class 'ResnetBlock2D', of unknown order; …"),
    Entry("cloneofsimo's format with a gap", save({name.replace(":0:", ":3:"): value for name, value in cloneofsimo().items()}, CLASSES), "numbers its layers, as cloneofsimo's lora does, and has no 'unet:0' before 'unet:3': …"),
    Entry("cloneofsimo's format with tokens", save(cloneofsimo() | {f"<s{i}>": np.ones(768, np.float32) for i in (1, 2)}), "is a LoRA with trained embeddings ('<s1>' and '<s2>'), which are not loaded, so that their token would mean nothing; train it without them"),
    Entry("FLUX control LoRA by BFL", save(layer("double_blocks.0.img_attn.proj") | {"double_blocks.0.img_attn.norm.key_norm.scale": np.ones(8, np.float32)}), CONTROL.format("double_blocks.0.img_attn.norm.key_norm.scale")),
    Entry("FLUX control LoRA by diffusers", save(control()), CONTROL.format("transformer.x_embedder.lora_A.weight")),
    Entry("LoRA of a language model, its prefix gone", save(layer(LLM.removeprefix("base_model.model."))), f"is a LoRA of a language or vision model ('{LLM.removeprefix('base_model.model.')}.lora_…"),
    Entry("names that end in an underscore", save(kohya("lora_unet_context_embedder_")), "has names that end in an underscore ('lora_unet_context_embedder_.…'), as TheLastBen's FLUX trainer writes them; …"),
    Entry("two adapters' names in the keys", save({name.replace(".weight", f".{adapter}.weight"): value for adapter, of in (("a", Q), ("b", K)) for name, value in layer(of).items()}), "holds the adapters '…' and '…' in its keys; save each in a file of its own"),
    Entry("an adapter's name in some keys", save(layer() | {name.replace(".weight", ".a.weight"): value for name, value in layer(K).items()}), "holds the adapters … in its keys; save each in a file of its own"),
    Entry("hypernetwork", save({"320.linear1.weight": ONES}), UNKNOWN.format(1, "'320.linear1.weight'")),
    Entry("statistics", save({"mu": ONES, "sigma": ONES}), UNKNOWN.format(2, "'mu'")),
    Entry("LoRA of a language model", save(layer(LLM)), f"is a LoRA of a language or vision model ('{LLM}.lora_…'); only those of image models are gated"),
    Entry("PEFT adapter", save(layer(Q.replace("unet", "base_model.model"))), "is a PEFT adapter (…) whose alpha stands in adapter_config.json …"),
    Entry("LoRA and more of the VAE", save(layer() | layer("vae.decoder.conv_in")), "has LoRA keys of no known kind, such as 'vae.decoder.conv_in': …"),
    Entry("LoRA and whole weights", save(layer() | {"unet.conv_in.weight": ONES}), "holds tensor 'unet.conv_in.weight', which is no part of any known kind of LoRA"),
    Entry("LoRA and an embedding", save(layer() | {"bundle_emb.sks.string_to_param.*": ONES}), f"is a LoRA bundled with a textual inversion of 'sks' (bundle_emb), which is not loaded ('bundle_emb…'); {ONLY}"),
    Entry("LoRA and OneTrainer's embedding", save(kohya() | {"bundle_emb.sks.clip_l": ONES, "bundle_emb.sks.clip_g": ONES}), f"is a LoRA bundled with a textual inversion of 'sks' (bundle_emb), which is not loaded ('bundle_emb…'); {ONLY}"),
    Entry("LoRA and emb_params", save(layer() | {"emb_params": ONES}), "is a LoRA with trained embeddings ('emb_params'), which are not loaded, so that their token would mean nothing; train it without them"),
    Entry("LoRA and a trained token", save(layer() | {"<s1>": ONES}), "is a LoRA with trained embeddings ('<s1>'), which are not loaded, …"),
    Entry("LoRA and the embeddings of a text encoder", save(layer() | {"text_encoder.text_model.embeddings.token_embedding.weight": ONES}), "is a LoRA with trained embeddings (…), which are not loaded, …"),
    Entry("optimizer state beside the LoRA", save(layer() | {f"{Q}.lora_A.weight.exp_avg": ONES}), f"holds tensor '{Q}.lora_A.weight.exp_avg', which is no part of any known kind of LoRA"),
    Entry("full difference of a norm", save({"lora_unet_conv_norm_out.diff": np.ones(2, np.float32)}), f"holds a difference of a normalisation layer, which is no matrix ('lora_unet_conv_norm_out'); {REFUSED}"),
    Entry("OFT", save({f"{KOHYA}.oft_blocks": np.ones((2, 4, 4), np.float32)}), f"holds an OFT layer, which rotates the base's weight instead of adding to it ('{KOHYA}'); {REFUSED}"),
    Entry("OneTrainer's OFT", save({f"{Q}.oft_R.weight": ONES}), f"holds an OFT layer, which rotates the base's weight instead of adding to it ('{Q}'); {REFUSED}"),
    Entry("OneTrainer's scaled OFT", save({f"{Q}.oft_R.weight": ONES, f"{Q}.oft_R.scaled_oft": np.ones(1, np.float32), f"{Q}.alpha": np.float32([2])}), f"holds a scaled OFT layer, which rotates the base's weight instead of adding to it ('{Q}'); {REFUSED}"),
    Entry("(IA)^3", save({f"{KOHYA}.weight": ONES, f"{KOHYA}.on_input": np.ones(1, np.float32)}), f"holds an (IA)^3 layer, which scales the base's weight instead of adding to it ('{KOHYA}'); {REFUSED}"),
)  # fmt: skip

INCOMPLETE = (
    Entry("no lora_B", save(without(layer(), "lora_B")), f"is incomplete: layer '{Q}' has lora_A (down) but no lora_B (up)"),
    Entry("no lora_A", save(without(layer(), "lora_A")), f"is incomplete: layer '{Q}' has lora_B (up) but no lora_A (down)"),
    Entry("one lora_B of two missing", save(layer() | without(layer(K), "lora_B")), f"is incomplete: layer '{K}' has lora_A (down) but no lora_B (up)"),
    Entry("one lora_up of two missing", save(kohya() | without(kohya("lora_te_text_model_encoder_layers_0_mlp_fc1"), "up")), "is incomplete: layer 'lora_te_text_model_encoder_layers_0_mlp_fc1' has … but no lora_B (up)"),
    Entry("alpha alone", save(layer() | {f"{K}.alpha": np.ones(1, np.float32)}), f"is incomplete: layer '{K}' has alpha but no lora_A (down)"),
    Entry("alphas and no layers", save({f"{KOHYA}.alpha": np.ones(1, np.float32)}), f"has LoRA keys of no known kind, such as '{KOHYA}.alpha'; known are diffusers (unet.*.lora_A.weight) and kohya (lora_unet_*.lora_down.weight)"),
    Entry("magnitudes alone", save(layer() | {f"{K}.lora_magnitude_vector": np.ones(8, np.float32)}), f"is incomplete: layer '{K}' has magnitude but no lora_A (down)"),
    Entry("LoHa without one factor", save({f"{KOHYA}.hada_w1_a": ONES, f"{KOHYA}.hada_w1_b": ONES, f"{KOHYA}.hada_w2_a": ONES}), f"is incomplete: layer '{KOHYA}' has … but no hada_w2_b"),
    Entry("LoHa with one Tucker core", loha(hada_t1=np.ones((2, 2, 3, 3), np.float32)), f"is incomplete: layer '{KOHYA}' has … but no hada_t2"),
    Entry("LoKr without one factor", lokr(w1=ONES), f"is incomplete: layer '{KOHYA}' has lokr_w1 but no lokr_w2"),
    Entry("LoKr without half a factor", lokr(w1=ONES, w2_a=ONES), f"is incomplete: layer '{KOHYA}' has … but no lokr_w2_b"),
    Entry("lora_A of one layer and lora_B of another", save(without(layer(), "lora_B") | without(layer(K), "lora_A")), "is incomplete: layer 'unet.…' has lora_… but no lora_…"),
)  # fmt: skip

AT_ODDS = (
    Entry("rank of lora_A is not lora_B's", save(without(layer(), "lora_B") | without(layer(rank=3), "lora_A")), f"has two ranks in layer '{Q}': 4 in lora_A (down), 3 in lora_B (up)"),
    Entry("lora_A and lora_B exchanged", save({f"{Q}.lora_A.weight": np.ones((16, 4), np.float16), f"{Q}.lora_B.weight": np.ones((4, 8), np.float16)}), f"has two ranks in layer '{Q}': 16 in lora_A (down), 8 in lora_B (up)"),
    Entry("one layer in two spellings", save(layer() | {f"{Q}.lora.down.weight": np.ones((4, 8), np.float16)}), f"has two lora_A (down) for layer '{Q}', in two spellings"),
    Entry("one layer by two trainers", save(layer() | kohya()), "names one layer twice: … both change unet 'mid_block_attentions_0_transformer_blocks_0_attn1_to_q'; keep one of the two"),
    Entry("two algorithms in one layer", save(kohya() | {f"{KOHYA}.hada_w1_a": ONES}), f"mixes two algorithms in layer '{KOHYA}': lora and hada_w1_a"),
    Entry("kernel in lora_B", save({f"{Q}.lora_A.weight": np.ones((4, 8, 1, 1), np.float16), f"{Q}.lora_B.weight": np.ones((16, 4, 3, 3), np.float16)}), f"has a kernel in lora_B (up) of layer '{Q}': [16, 4, 3, 3]"),
    Entry("LoHa whose factors do not fit", loha(hada_w2_b=np.ones((3, 2), np.float32)), f"has parts of a LoHa that do not fit in layer '{KOHYA}': …"),
    Entry("LoKr with two ranks", lokr(w1_a=ONES, w1_b=ONES, w2_a=np.ones((2, 3), np.float32), w2_b=np.ones((3, 2), np.float32)), f"has parts of a LoKr that do not fit in layer '{KOHYA}': …"),
    Entry("LoKr with a factor twice", lokr(w1=ONES, w1_a=ONES, w1_b=ONES, w2=ONES), f"has lokr_w1 twice in layer '{KOHYA}', whole and as a product"),
    Entry("DoRA with magnitudes of another layer", dora(kohya(), np.ones((7, 1))), f"has dora_scale [7, 1] in layer '{KOHYA}', but its weight is 16 x 8"),
    Entry("PEFT DoRA with magnitudes of another layer", save(layer() | {f"{Q}.lora_magnitude_vector": np.ones(7, np.float32)}), f"has magnitude [7] in layer '{Q}', but its weight is 16 x 8"),
    Entry("rank in the metadata is not the file's", save(layer(), peft(r=8, lora_alpha=8)), f"contradicts itself: lora_adapter_metadata says rank 8 for '{Q}', whose matrices have rank 4"),
    Entry("alpha in the metadata is not the tensor's", save(layer() | {f"{Q}.alpha": np.float32([2])}, peft(lora_alpha=8)), f"states two alphas for '{Q}': 2, in lora_adapter_metadata 8"),
    Entry("pattern of layers in the metadata", save(layer(), peft(lora_alpha=4, alpha_pattern={".*to_q": 2})), "has the pattern '.*to_q' in lora_adapter_metadata; only layer names are supported there"),
    *(
        Entry(f"metadata of PEFT: {text[:20]}", save(layer(), {"lora_adapter_metadata": text}), "has damaged metadata: lora_adapter_metadata is not a PEFT configuration")
        for text in ("", "[1]", "{", "null", '{"unet.lora_alpha": "four"}', '{"unet.alpha_pattern": 3}', '{"unet.r": [4]}')
    ),
)  # fmt: skip

SHAPES = (
    Entry("scalar weight", typed({f"{Q}.lora_A.weight": ("F16", [], b"\0\x3c"), f"{Q}.lora_B.weight": ("F16", [1, 1], b"\0\x3c")}), FLAT.format("[]")),
    Entry("vector for lora_A", save(without(layer(), "lora_A") | {f"{Q}.lora_A.weight": np.ones(4, np.float16)}), FLAT.format("[4]")),
    Entry("rank 0", save(layer(rank=0)), FLAT.format("[0, 8]")),
    Entry("no inputs", save(without(layer(), "lora_A") | {f"{Q}.lora_A.weight": np.ones((4, 0), np.float16)}), FLAT.format("[4, 0]")),
    Entry("complex numbers", recast("C64", 64), NO_FLOATS.format("C64")),
    Entry("float64", save(layer(dtype=np.float64)), NO_FLOATS.format("F64")),
    Entry("float8 of four bits", recast("F8_E4M3", 8), NO_FLOATS.format("F8_E4M3")),
    Entry("float8 of five bits", recast("F8_E5M2", 8), NO_FLOATS.format("F8_E5M2")),
    Entry("float4", recast("F4", 4), NO_FLOATS.format("F4")),
    Entry("int8", save(layer(dtype=np.int8)), NO_FLOATS.format("I8")),
    Entry("int64", save(layer(dtype=np.int64)), NO_FLOATS.format("I64")),
    Entry("bool", save(layer(dtype=np.bool_)), NO_FLOATS.format("BOOL")),
    Entry("F16 that claims to be BF16 of half the values", raw(json.loads(GOOD[8:DATA_AT].replace(b'"F16"', b'"F32"')), GOOD[DATA_AT:]), "has a damaged header: tensor … F32 … does not fit … bytes"),
)  # fmt: skip

ENTRIES = OTHER + INCOMPLETE + AT_ODDS + SHAPES
