"""The original (LDM, sgm) UNet: Stable Diffusion 1.x, 2.x and XL.

Follows diffusers' loaders/single_file_utils.py (convert_ldm_unet_checkpoint, DIFFUSERS_TO_LDM_MAPPING) and
kohya's sd-scripts, library/sdxl_original_unet.py, on which its SDXL LoRAs are trained. Its blocks are
numbered through, which no row can say. Every Stable Diffusion model with these names has two layers per
block, so no configuration is needed.
"""

from __future__ import annotations

import re

from lora_checks.lora.native_names.table import Native

_LAYERS = 2  # per block, `layers_per_block`
_SINGLE = {
    "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2",
    "label_emb_0_0": "add_embedding_linear_1",
    "label_emb_0_2": "add_embedding_linear_2",
    "input_blocks_0_0": "conv_in",
    "out_0": "conv_norm_out",
    "out_2": "conv_out",
}
_RESNET = {
    "in_layers_0": "norm1",
    "in_layers_2": "conv1",
    "emb_layers_1": "time_emb_proj",
    "out_layers_0": "norm2",
    "out_layers_3": "conv2",
    "skip_connection": "conv_shortcut",
}
_BLOCK = re.compile(r"(input_blocks|output_blocks)_(\d{1,3})_(\d)_(.+)|middle_block_(\d)_(.+)")


class LdmUnet:
    """The names of the UNet, found as in a `Table`."""

    def find(self, flat: str) -> Native | None:
        """Return diffusers' flattened name of a flattened name."""
        target = _SINGLE.get(flat) or _in_block(flat)
        return Native((target,)) if target else None


LDM = LdmUnet()


def _in_block(flat: str) -> str | None:
    match = _BLOCK.fullmatch(flat)
    if match is None:
        return None
    side, block, part, rest, middle, middle_rest = match.groups()
    if middle:
        return _inner("mid_block", int(middle) % 2, int(middle) // 2, middle_rest)
    number = int(block) - (side == "input_blocks")
    head = f"{'down' if side == 'input_blocks' else 'up'}_blocks_{number // (_LAYERS + 1)}"
    if side == "input_blocks" and rest == "op":
        return f"{head}_downsamplers_0_conv"
    if side == "output_blocks" and rest == "conv":
        return f"{head}_upsamplers_0_conv"
    return _inner(head, int(part), number % (_LAYERS + 1), rest)


def _inner(head: str, part: int, layer: int, rest: str) -> str | None:
    """Translate a name inside a block; ``part`` 0 is a residual block, 1 a transformer."""
    if part == 1:
        return f"{head}_attentions_{layer}_{rest}"
    return f"{head}_resnets_{layer}_{_RESNET[rest]}" if part == 0 and rest in _RESNET else None
