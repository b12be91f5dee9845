"""Train the miniature's CLIP in open_clip's own architecture; also save its text tower for transformers.

    python train_clip.py           # about 8 minutes on one core; continues where it was killed

Writes `evaluators/clip` (loads as `open_clip.create_model_and_transforms("local-dir:...")`) and the
pipeline's `tokenizer` and `text_encoder`: the text tower is shared and frozen, as Stable Diffusion shares
CLIP's. A UNet of this size does not learn to read from pixels alone; a text tower that has seen pictures
makes the difference.
"""

# mypy: disable-error-code="no-untyped-call"
# (transformers types neither its models' methods nor tensors' `backward`)

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import open_clip
import torch
from common import CLIP_DIR, HELD_OUT, PIPELINE_DIR, RUNS, TRAINING, drawings, sample_pairs, save_checkpoint
from diffusers.optimization import get_cosine_schedule_with_warmup
from draw import BACKGROUNDS, SHIRTS, Identity, Scene, caption
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

BATCH = 128
LEARNING_RATE = 1e-3
TWINS_FROM = 800
TEXT_FROZEN_FROM = 1200
"""The text tower is frozen after this step, for the pipeline's UNet; the image tower trains on."""

CHECKPOINT = RUNS / "clip.pt"

CONTEXT, WIDTH, LAYERS, HEADS = 24, 128, 2, 4
TRIGGER = "sks"

MODEL_CONFIG: dict[str, Any] = {
    "embed_dim": WIDTH,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 10, "head_width": 32},
    "text_cfg": {
        "context_length": CONTEXT,
        "width": WIDTH,
        "heads": HEADS,
        "layers": LAYERS,
        "hf_tokenizer_name": "tokenizer of this directory",
    },
}
PREPROCESSING = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}


def make_tokenizer() -> CLIPTokenizer:
    """Return CLIP's tokenizer with merges for the captions' words only; other text falls back to bytes."""
    rng = np.random.default_rng([TRAINING, 0])
    text = [caption(identity, scene, rng, f"{TRIGGER} person") for identity, scene in sample_pairs(rng, 4000)]
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.normalizer = normalizers.Lowercase()
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation(), pre_tokenizers.Whitespace()]
    )
    trained.train_from_iterator(
        text, trainers.BpeTrainer(vocab_size=2000, show_progress=False, end_of_word_suffix="</w>")
    )
    merges: Any = [tuple(merge) for merge in json.loads(trained.to_str())["model"]["merges"]]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    symbols = [*alphabet, *(byte + "</w>" for byte in alphabet), *("".join(merge) for merge in merges)]
    # The end token comes last: open_clip finds it as the highest id.
    symbols += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {symbol: index for index, symbol in enumerate(dict.fromkeys(symbols))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CONTEXT)


def tokens(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    encoded = tokenizer(texts, padding="max_length", max_length=CONTEXT, truncation=True, return_tensors="pt")
    return torch.as_tensor(encoded.input_ids)


def contrastive_loss(model: open_clip.CLIP, images: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    image, text = model.encode_image(images, normalize=True), model.encode_text(ids, normalize=True)
    logits = model.logit_scale.exp().clamp(max=100) * image @ text.T
    labels = torch.arange(len(images))
    return (functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)) / 2


def with_twins(pairs: list[tuple[Identity, Scene]], rng: np.random.Generator) -> list[tuple[Identity, Scene]]:
    """Add to each picture one that differs only in the smile or in the glasses.

    Among random pictures the colours tell captions apart, so the smile would never be learned.
    """
    changed = [
        (
            identity,
            replace(scene, smile=not scene.smile)
            if rng.random() < 0.7
            else replace(scene, glasses=not scene.glasses),
        )
        for identity, scene in pairs
    ]
    return pairs + changed


def train(tokenizer: CLIPTokenizer, steps: int) -> open_clip.CLIP:
    torch.manual_seed(0)
    model = open_clip.CLIP(**config_for(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = get_cosine_schedule_with_warmup(optimizer, 50, steps)
    start = 0
    if CHECKPOINT.exists():
        state = torch.load(CHECKPOINT)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        start = state["step"]
    began = time.time()
    for step in range(start, steps):
        if step >= TEXT_FROZEN_FROM:
            freeze_text(model)
        rng = np.random.default_rng([TRAINING, 3, step])
        pairs = (
            sample_pairs(rng, BATCH) if step < TWINS_FROM else with_twins(sample_pairs(rng, BATCH // 2), rng)
        )
        texts = [caption(identity, scene, rng) for identity, scene in pairs]
        loss = contrastive_loss(model.train(), drawings(pairs), tokens(tokenizer, texts))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 100 == 0 or step + 1 == steps:
            print(
                f"step {step + 1}/{steps} loss {loss.item():.3f} {zero_shot(model, tokenizer, 256)} "
                f"{time.time() - began:.0f} s",
                flush=True,
            )
            save_checkpoint(
                CHECKPOINT,
                model=model.state_dict(),
                optimizer=optimizer.state_dict(),
                schedule=schedule.state_dict(),
                step=step + 1,
            )
    return model


def freeze_text(model: open_clip.CLIP) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("visual") or name == "logit_scale")


def config_for(tokenizer: CLIPTokenizer) -> dict[str, Any]:
    return MODEL_CONFIG | {"text_cfg": MODEL_CONFIG["text_cfg"] | {"vocab_size": len(tokenizer)}}


Labeller = Callable[[Identity, Scene], int]
ZERO_SHOT: dict[str, tuple[list[str], Labeller]] = {
    "shirt": ([f"photo of a person in a {s} shirt" for s in SHIRTS], lambda _, s: SHIRTS.index(s.shirt)),
    "background": (
        [f"photo of a person, {b} background" for b in BACKGROUNDS],
        lambda _, s: BACKGROUNDS.index(s.background),
    ),
    "glasses": (
        ["photo of a person, without glasses", "photo of a person, wearing glasses"],
        lambda _, s: int(s.glasses),
    ),
    "smile": (["photo of a person, serious", "photo of a person, smiling"], lambda _, s: int(s.smile)),
}


@torch.no_grad()
def zero_shot(model: open_clip.CLIP, tokenizer: CLIPTokenizer, count: int = 1024) -> dict[str, float]:
    """Return the accuracy on held-out drawings for each question that a prompt can answer."""
    pairs = sample_pairs(np.random.default_rng([HELD_OUT, 3]), count)
    image = model.eval().encode_image(drawings(pairs), normalize=True)
    accuracy = {}
    for name, (texts, label) in ZERO_SHOT.items():
        text = model.encode_text(tokens(tokenizer, texts), normalize=True)
        truth = torch.tensor([label(identity, scene) for identity, scene in pairs])
        accuracy[name] = round(float(((image @ text.T).argmax(1) == truth).float().mean()), 4)
    return accuracy


def to_transformers(model: open_clip.CLIP, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return the text tower as a `CLIPTextModel` with the same hidden states."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=CONTEXT,
        projection_dim=WIDTH,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    text_encoder: CLIPTextModel = CLIPTextModel(config).eval()
    result = text_encoder.load_state_dict(_transformers_keys(model), strict=False)
    assert not result.unexpected_keys, result.unexpected_keys
    assert all("position_ids" in key for key in result.missing_keys), result.missing_keys
    return text_encoder


def _transformers_keys(model: open_clip.CLIP) -> dict[str, torch.Tensor]:
    source = model.state_dict()
    state = {
        "embeddings.token_embedding.weight": source["token_embedding.weight"],
        "embeddings.position_embedding.weight": source["positional_embedding"],
        "final_layer_norm.weight": source["ln_final.weight"],
        "final_layer_norm.bias": source["ln_final.bias"],
    }
    renamed = {
        "attn.out_proj": "self_attn.out_proj",
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    for layer in range(LAYERS):
        ours, theirs = f"transformer.resblocks.{layer}.", f"encoder.layers.{layer}."
        for kind in ("weight", "bias"):
            joined = source[f"{ours}attn.in_proj_{kind}"].chunk(3)
            for name, part in zip(("q", "k", "v"), joined, strict=True):
                state[f"{theirs}self_attn.{name}_proj.{kind}"] = part
            for old, new in renamed.items():
                state[f"{theirs}{new}.{kind}"] = source[f"{ours}{old}.{kind}"]
    return state


@torch.no_grad()
def largest_difference(model: open_clip.CLIP, text_encoder: CLIPTextModel, ids: torch.Tensor) -> float:
    """Return the largest difference between the last hidden states of the two formats."""
    x = model.token_embedding(ids) + model.positional_embedding
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask))
    return float((x - text_encoder(ids).last_hidden_state).abs().max())


def save(model: open_clip.CLIP, tokenizer: CLIPTokenizer) -> None:
    CLIP_DIR.mkdir(parents=True, exist_ok=True)
    half = {
        key: value.half().contiguous() if value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    save_file(half, CLIP_DIR / "open_clip_model.safetensors", metadata={"format": "pt"})
    config = {"model_cfg": config_for(tokenizer), "preprocess_cfg": PREPROCESSING}
    (CLIP_DIR / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer.save_pretrained(CLIP_DIR)
    tokenizer.save_pretrained(PIPELINE_DIR / "tokenizer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1800)
    steps = parser.parse_args().steps
    tokenizer = make_tokenizer()
    model = train(tokenizer, steps)
    save(model, tokenizer)
    stored, _, _ = open_clip.create_model_and_transforms(f"local-dir:{CLIP_DIR}")
    text_encoder = to_transformers(stored.eval(), tokenizer)
    text_encoder.half().save_pretrained(PIPELINE_DIR / "text_encoder")
    ids = tokens(tokenizer, ["photo of a person in a red shirt, wearing glasses", "hello, wörld"])
    print("vocabulary", len(tokenizer), "zero-shot from the stored file", zero_shot(stored, tokenizer))
    print("largest difference of hidden states", largest_difference(stored, text_encoder.float(), ids))


if __name__ == "__main__":
    main()
