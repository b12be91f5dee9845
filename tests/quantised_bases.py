"""A tiny FLUX that is wide enough for every format, its transformer as a .gguf file, and LoRAs for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from families import family, load
from families.weights import seeded
from safetensors.torch import load_file, save_file

WIDTH = 256  # the K types of GGUF have blocks of 256 weights
K_TYPES = {"Q4_K": 144, "Q6_K": 210}  # bytes of a block; the gguf package reads them and does not write them
TARGETS = (
    "transformer_blocks.0.attn.to_q",
    "transformer_blocks.1.ff.net.0.proj",
    "single_transformer_blocks.0.proj_mlp",
    "single_transformer_blocks.1.attn.to_v",
)


def wide_flux(folder: Path) -> Path:
    """A pipeline folder whose transformer is 256 wide, and its T5 64; the rest is the tiny FLUX."""
    from diffusers import FluxTransformer2DModel
    from transformers import T5Config, T5EncoderModel

    path = folder / "wide"
    if not path.is_dir():
        pipe = load(family("FLUX", folder))
        config = T5Config(
            vocab_size=200, d_model=64, d_kv=32, d_ff=128, num_layers=2, num_heads=2, use_cache=False
        )
        transformer = FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=2,
            num_single_layers=2,
            attention_head_dim=64,
            num_attention_heads=4,
            joint_attention_dim=64,
            pooled_projection_dim=24,
            guidance_embeds=True,
            axes_dims_rope=(16, 24, 24),
        )
        reader = seeded(T5EncoderModel(config), 5)
        pipe.register_modules(transformer=seeded(transformer, 2), text_encoder_2=reader)
        pipe.save_pretrained(str(path))
    return path


def write_gguf(folder: Path, path: Path, kind: str, name: str = "transformer", extra: str = "") -> Path:
    """Write a network's weights as converters do: matrices quantised where they fit, the rest as they are."""
    weights = load_file(folder / name / "diffusion_pytorch_model.safetensors")
    writer = gguf.GGUFWriter(str(path), "flux")
    quantised = gguf.GGMLQuantizationType[kind]
    block = gguf.GGML_QUANT_SIZES[quantised][0]
    for key, weight in weights.items():
        values = weight.float().numpy()
        if values.ndim == 2 and values.shape[1] % block == 0:
            writer.add_tensor(key, _quantised(values, kind), raw_dtype=quantised)
        else:
            writer.add_tensor(key, values.astype(np.float32))
    if extra:
        writer.add_tensor(extra, np.zeros((4, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _quantised(values: np.ndarray, kind: str) -> np.ndarray:
    if kind not in K_TYPES:
        return np.asarray(gguf.quants.quantize(values, gguf.GGMLQuantizationType[kind]))
    # Random blocks: half-precision scales of the weights' size, and any bits for the rest.
    size, blocks = K_TYPES[kind], values.size // 256
    random = np.random.default_rng(values.size)
    data = random.integers(0, 256, (blocks, size), dtype=np.uint8)
    scale = np.float16(values.std() / 300).tobytes()
    at = {"Q4_K": (0, 2), "Q6_K": (208,)}[kind]
    for begin in at:
        data[:, begin : begin + 2] = np.frombuffer(scale, dtype=np.uint8)
    return data.reshape(len(values), -1)


def lora(folder: Path, path: Path, size: float = 0.5, dora: bool = False, **of: Any) -> Path:
    """A LoRA of rank 4 on four layers, as PEFT writes it; its change is ``size`` of each weight's norm."""
    weights = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    random = torch.Generator().manual_seed(5)
    tensors = {}
    for target in of.get("targets", TARGETS):
        weight = weights[f"{target}.weight"].float()
        down = torch.randn(4, weight.shape[1], generator=random)
        up = torch.randn(weight.shape[0], 4, generator=random)
        up *= size * weight.norm() / (up @ down).norm()
        tensors[f"transformer.{target}.lora_A.weight"] = down
        tensors[f"transformer.{target}.lora_B.weight"] = up
        if dora:
            tensors[f"transformer.{target}.lora_magnitude_vector"] = 1.1 * (weight + up @ down).norm(dim=1)
    save_file(tensors, path)
    return path
