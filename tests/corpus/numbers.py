"""LoRAs whose form is right and whose numbers are not."""

# ruff: noqa: E501  # a table: one row for each file
from __future__ import annotations

import numpy as np
from safetensors.numpy import save

from .entry import KOHYA, Entry, K, Q, kohya, layer, peft, replaced, typed

TENSOR = f"in '{Q}.lora_A.weight'"
DIVERGED = "; the training diverged"
UNTRAINED = "was never trained: every lora_B (up) matrix is zero, so the LoRA changes nothing"
NOTHING = "changes nothing: in every layer lora_A (down) or lora_B (up) is zero"
ALPHA = f"has alpha {{}} at '{KOHYA}.alpha', so the layer {{}}; it must be above 0"
NO_NUMBER = f"has '{KOHYA}.alpha' of {{}} {{}}; an alpha is one number"


def one_bad(value: float, dtype: type = np.float16) -> bytes:
    """A LoRA with one such value, the last of lora_A."""
    tensors = layer(dtype=dtype)
    tensors[f"{Q}.lora_A.weight"][-1, -1] = value
    return save(tensors)


def brain(last: bytes) -> bytes:
    """A LoRA in bfloat16 whose lora_A ends in these two bytes."""
    one = b"\x80\x3f"
    return typed(
        {
            f"{Q}.lora_A.weight": ("BF16", [4, 8], one * 31 + last),
            f"{Q}.lora_B.weight": ("BF16", [16, 4], one * 64),
        }
    )


ENTRIES = (
    # not finite
    Entry("one NaN in float16", one_bad(np.nan), f"has 1 values that are NaN or infinite {TENSOR}{DIVERGED}"),
    Entry("one NaN in float32", one_bad(np.nan, np.float32), f"has 1 values that are NaN or infinite {TENSOR}{DIVERGED}"),
    Entry("one NaN in bfloat16", brain(b"\xc0\x7f"), f"has 1 values that are NaN or infinite {TENSOR}{DIVERGED}"),
    Entry("one negative NaN in bfloat16", brain(b"\xff\xff"), f"has 1 values that are NaN or infinite {TENSOR}{DIVERGED}"),
    Entry("one infinity", one_bad(np.inf), f"has 1 values that are NaN or infinite {TENSOR}{DIVERGED}"),
    Entry("one negative infinity in bfloat16", brain(b"\x80\xff"), f"has 1 values that are NaN or infinite {TENSOR}{DIVERGED}"),
    Entry("all NaN", save(replaced(layer() | layer(K), "weight", np.nan)), "has … values that are NaN or infinite in '…', and 3 more tensors have some; the training diverged"),
    Entry("one layer of two is NaN", save(layer(K) | replaced(layer(), "", np.nan)), "has 32 values that are NaN or infinite in '…', and 1 more tensors have some; the training diverged"),
    Entry("NaN magnitude of a DoRA", save(kohya() | {f"{KOHYA}.dora_scale": np.full((16, 1), np.nan, np.float32)}), f"has 16 values that are NaN or infinite in '{KOHYA}.dora_scale'{DIVERGED}"),
    # nothing
    Entry("all zeros", save(replaced(layer(), "", 0)), "…changes nothing…"),
    Entry("lora_B zero", save(replaced(layer() | layer(K), "lora_B", 0)), UNTRAINED),
    Entry("lora_B minus zero", save(replaced(layer(), "lora_B", -0.0)), UNTRAINED),
    Entry("lora_A zero", save(replaced(layer(), "lora_A", 0)), NOTHING),
    Entry("lora_A of one layer and lora_B of the other zero", save(replaced(layer(), "lora_A", 0) | replaced(layer(K), "lora_B", 0)), NOTHING),
    Entry("alpha 0", save(kohya(alpha=0)), ALPHA.format(0, "changes nothing")),
    Entry("alpha 0 in the metadata", save(layer(), peft(lora_alpha=0)), f"has alpha 0 at '{Q} (lora_adapter_metadata)', so the layer changes nothing; it must be above 0"),
    # alphas
    Entry("alpha below zero", save(kohya(alpha=-1)), ALPHA.format(-1, "is applied wrongly")),
    Entry("alpha minus zero", save(kohya(alpha=-0.0)), ALPHA.format(-0, "changes nothing").replace("alpha 0", "alpha -0")),
    Entry("alpha NaN", save(kohya(alpha=np.nan)), ALPHA.format("nan", "is applied wrongly")),
    Entry("alpha infinite", save(kohya(alpha=np.inf)), ALPHA.format("inf", "is applied wrongly")),
    Entry("alpha 1e30", save(kohya(alpha=1e30)), f"has alpha 1e+30 at '{KOHYA}.alpha', 2.5e+29 times its rank; no training makes that"),
    Entry("alpha of one layer of two below zero", save(kohya() | kohya(KOHYA.replace("to_q", "to_k"), -2)), "has alpha -2 at …"),
    Entry("alpha NaN in the metadata", save(layer(), {"lora_adapter_metadata": '{"unet.lora_alpha": NaN}'}), f"has alpha nan at '{Q} (lora_adapter_metadata)', so the layer is applied wrongly; it must be above 0"),
    Entry("alpha below zero in a pattern", save(layer(), peft(lora_alpha=4, alpha_pattern={"to_q": -4})), f"has alpha -4 at '{Q} (lora_adapter_metadata)', so the layer is applied wrongly; it must be above 0"),
    Entry("two alphas", save(kohya(alpha=None) | {f"{KOHYA}.alpha": np.ones(2, np.float32)}), NO_NUMBER.format("F32", "[2]")),
    Entry("no alpha in it", save(kohya(alpha=None) | {f"{KOHYA}.alpha": np.ones(0, np.float32)}), NO_NUMBER.format("F32", "[0]")),
    Entry("alpha is a bool", save(kohya(alpha=None) | {f"{KOHYA}.alpha": np.array(True)}), NO_NUMBER.format("BOOL", "[]")),
    Entry("alpha below zero in int64", save(kohya(alpha=None) | {f"{KOHYA}.alpha": np.array(-4)}), ALPHA.format(-4, "is applied wrongly")),
)  # fmt: skip
