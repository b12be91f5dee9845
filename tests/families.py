"""A tiny random pipeline of each family of bases, of the real diffusers and transformers classes.

Names and kinds of layers are those of the real models; sizes are as small as the classes take, and no two
families are alike in the width of their text. An image of 32x32 pixels in 2 steps takes well under a second.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

FAMILIES: tuple[str, ...] = ("SD 1.x", "SD 2.x", "SDXL", "SD3", "FLUX", "FLUX schnell")
LATENT = 16  # rows and columns of the latent of an image of 32 x 32 pixels
FIRST, LAST = "<|startoftext|>", "<|endoftext|>"


def family(name: str, folder: Path) -> Path:
    """``folder / name``, a pipeline directory of the family, written if it is not there."""
    path = folder / name.replace(" ", "-")
    if not (path / "model_index.json").is_file():
        _BUILDERS[name](path).save_pretrained(path)
    return path


def seeded(module: Any, seed: int) -> Any:
    """Every weight anew: matrices keep the variance of what passes through them, so that all layers count."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.ndim > 1:
                fan_in = weight[0].numel()
                weight.copy_(noise * (0.5 if "embedding." in name else fan_in**-0.5))
            else:
                weight.copy_(0.1 * noise + (1.0 if name.endswith("weight") else 0.0))
    return module.eval()


def _vae(channels: int, quantised: bool, scaling: float, shift: float | None = None) -> Any:
    """Two pixels a latent row; SD 1.x, 2.x and XL have convolutions around the latent, SD3 and FLUX none."""
    vae = AutoencoderKL(
        block_out_channels=(32, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=8,
        scaling_factor=scaling,
        shift_factor=shift,
        use_quant_conv=quantised,
        use_post_quant_conv=quantised,
    )
    seeded(vae, 1)
    with torch.no_grad():  # pictures of middling contrast: little of them is cut at black and white
        vae.decoder.conv_out.weight.mul_(0.4)
    return vae


def _clip_tokenizer(folder: Path) -> Any:
    """Every byte is a token, alone and at the end of a word; there are no merges."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), FIRST, LAST]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def _t5_tokenizer(folder: Path) -> Any:
    """Every printable ASCII character is a token, as is every one at the start of a word."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    letters = [chr(code) for code in range(33, 127)]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    pieces += [(letter, -4.0) for letter in letters] + [(f"▁{letter}", -5.0) for letter in letters]
    made = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    return T5TokenizerFast.from_pretrained(folder, model_max_length=512, extra_ids=0)


def _clip(seed: int, width: int, projection: int | None = None, act: str = "quick_gelu") -> Any:
    config = CLIPTextConfig(
        vocab_size=514,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=projection or width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        hidden_act=act,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )
    return seeded((CLIPTextModelWithProjection if projection else CLIPTextModel)(config), seed)


def _t5(seed: int, width: int) -> Any:
    config = T5Config(
        vocab_size=200,
        d_model=width,
        d_kv=8,
        d_ff=2 * width,
        num_layers=2,
        num_heads=2,
        relative_attention_num_buckets=8,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        use_cache=False,
    )
    return seeded(T5EncoderModel(config), seed)


def _unet(cross: int, **settings: Any) -> Any:
    """Two levels of two layers (SDXL: three); LDM's numbers of blocks are then those of the real models."""
    defaults: dict[str, Any] = {
        "sample_size": LATENT,
        "block_out_channels": (32, 64),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 2,
        "attention_head_dim": 2,
        "norm_num_groups": 8,
        "cross_attention_dim": cross,
    }
    return seeded(UNet2DConditionModel(**defaults | settings), 2)


_BETAS: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}


def _sd(path: Path, unet: Any, text_encoder: Any, prediction: str) -> Any:
    return StableDiffusionPipeline(
        vae=_vae(4, True, 0.18215),
        text_encoder=text_encoder,
        tokenizer=_clip_tokenizer(path / "tokenizer"),
        unet=unet,
        scheduler=DDIMScheduler(
            **_BETAS, clip_sample=False, set_alpha_to_one=False, prediction_type=prediction
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sd1(path: Path) -> Any:
    return _sd(path, _unet(32), _clip(3, 32), "epsilon")


def _sd2(path: Path) -> Any:
    unet = _unet(48, use_linear_projection=True, attention_head_dim=(2, 4))
    return _sd(path, unet, _clip(3, 48, act="gelu"), "v_prediction")


def _sdxl(path: Path) -> Any:
    width, large = 24, 40
    unet = _unet(
        width + large,
        block_out_channels=(32, 32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(2, 2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=large + 6 * 8,
    )
    return StableDiffusionXLPipeline(
        vae=_vae(4, True, 0.13025),
        text_encoder=_clip(3, width),
        text_encoder_2=_clip(4, large, projection=large, act="gelu"),
        tokenizer=_clip_tokenizer(path / "tokenizer"),
        tokenizer_2=_clip_tokenizer(path / "tokenizer_2"),
        unet=unet,
        scheduler=EulerDiscreteScheduler(**_BETAS, timestep_spacing="leading"),
        add_watermarker=False,
    )


def _sd3(path: Path) -> Any:
    """As SD 3.5 medium: its first block has a second attention, and queries and keys are normed."""
    transformer = SD3Transformer2DModel(
        sample_size=LATENT,
        patch_size=2,
        in_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=56,
        caption_projection_dim=32,
        pooled_projection_dim=16 + 24,
        out_channels=4,
        pos_embed_max_size=LATENT,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    return StableDiffusion3Pipeline(
        vae=_vae(4, False, 1.5305, 0.0609),
        text_encoder=_clip(3, 16, projection=16),
        text_encoder_2=_clip(4, 24, projection=24, act="gelu"),
        text_encoder_3=_t5(5, 56),
        tokenizer=_clip_tokenizer(path / "tokenizer"),
        tokenizer_2=_clip_tokenizer(path / "tokenizer_2"),
        tokenizer_3=_t5_tokenizer(path / "tokenizer_3"),
        transformer=seeded(transformer, 2),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def _flux(path: Path, guided: bool) -> Any:
    """FLUX.1 dev is distilled from guided images and takes the guidance as an input; schnell does not."""
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=40,
        pooled_projection_dim=24,
        guidance_embeds=guided,
        axes_dims_rope=(4, 6, 6),
    )
    shifts = {"use_dynamic_shifting": True, "shift": 3.0} if guided else {"shift": 1.0}
    return FluxPipeline(
        vae=_vae(4, False, 0.3611, 0.1159),
        text_encoder=_clip(3, 24),
        text_encoder_2=_t5(5, 40),
        tokenizer=_clip_tokenizer(path / "tokenizer"),
        tokenizer_2=_t5_tokenizer(path / "tokenizer_2"),
        transformer=seeded(transformer, 2),
        scheduler=FlowMatchEulerDiscreteScheduler(**shifts),
    )


_BUILDERS: dict[str, Callable[[Path], Any]] = {
    "SD 1.x": _sd1,
    "SD 2.x": _sd2,
    "SDXL": _sdxl,
    "SD3": _sd3,
    "FLUX": lambda path: _flux(path, guided=True),
    "FLUX schnell": lambda path: _flux(path, guided=False),
}


def load(folder: Path) -> Any:
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def paint(pipe: Any, prompt: str, seed: int = 0, steps: int = 2) -> np.ndarray:
    generator = torch.Generator("cpu").manual_seed(seed)
    settings = {"num_inference_steps": steps, "width": 32, "height": 32, "generator": generator}
    return pipe(prompt, output_type="np", **settings).images[0]
