"""Tiny tokenizers of the real classes: byte-level BPE (CLIP, Qwen, Mistral, Llama), unigram (T5).

Those of language models have merges learnt from a few sentences, so that a prompt is about as many tokens as
with the published tokenizer, and the published chat template's own form of what a pipeline asks it for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer, PreTrainedTokenizerFast, Qwen2TokenizerFast, T5TokenizerFast

FIRST, LAST = "<|startoftext|>", "<|endoftext|>"
SENTENCES = (
    "a photo of a person in a red shirt and three birds, sks glasses smiling",
    "You are an AI that reasons about image descriptions. You give structured responses focusing on object "
    "relationships, object attribution and actions without speculation.",
    "system user assistant Describe the image by detailing the color, shape, size, texture, quantity, text, "
    "spatial relationships of the objects and background:",
    "You are an assistant designed to generate superior images with the superior degree of image-text "
    "alignment based on textual prompts or user prompts.",
)
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def clip(folder: Path, limit: int = 77) -> Any:
    """Every byte is a token, alone and at the end of a word; there are no merges."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), FIRST, LAST]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=limit)


def t5(folder: Path) -> Any:
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


# What the published template of Qwen 3 gives for messages without tools; 2.5 has a system message of its own.
QWEN_CHAT = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.content is string %}{{- message.content }}"
    "{%- else %}{%- for part in message.content %}"
    "{%- if part.type == 'image' %}{{- '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- else %}{{- part.text }}{%- endif %}{%- endfor %}{%- endif %}"
    "{{- '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}"
    "{%- endif %}{%- endif %}"
)
QWEN_SPECIAL = "im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad"


def qwen(limit: int = 131072) -> Any:
    """Of Qwen 2, 2.5 and 3, which pad on the right in pipelines of images."""
    model = json.loads(_learnt().to_str())["model"]
    tokenizer = Qwen2TokenizerFast(
        vocab=model["vocab"],
        merges=[(first, second) for first, second in model["merges"]],
        model_max_length=limit,
        extra_special_tokens=[f"<|{name}|>" for name in QWEN_SPECIAL],
    )
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.chat_template = QWEN_CHAT
    return tokenizer


# Mistral Small 3.1: the system's words and the user's between their own tokens.
MISTRAL_CHAT = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{%- set name = {'system': 'SYSTEM_PROMPT', 'user': 'INST'}[message.role] %}"
    "{{- '[' + name + ']' }}"
    "{%- if message.content is string %}{{- message.content }}"
    "{%- else %}{%- for part in message.content %}"
    "{%- if part.type == 'image' %}{{- '[IMG]' }}{%- else %}{{- part.text }}{%- endif %}"
    "{%- endfor %}{%- endif %}"
    "{{- '[/' + name + ']' }}"
    "{%- endfor %}"
)
MISTRAL_SPECIAL = "INST", "/INST", "SYSTEM_PROMPT", "/SYSTEM_PROMPT", "IMG", "IMG_BREAK", "IMG_END"


def mistral(limit: int = 131072) -> Any:
    """Tekken as transformers loads it: byte-level BPE that pads on the left."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_learnt(),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side="left",
        model_max_length=limit,
        extra_special_tokens=[f"[{name}]" for name in MISTRAL_SPECIAL],
    )
    tokenizer.chat_template = MISTRAL_CHAT
    return tokenizer


def llama3(limit: int = 131072) -> Any:
    """Llama 3's, which writes its first token before every text."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_learnt(),
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        model_max_length=limit,
    )
    return _beginning(tokenizer)


def gemma(limit: int = int(1e30)) -> Any:
    """Gemma 2's, whose configuration names no limit."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_learnt(),
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        model_max_length=limit,
    )
    return _beginning(tokenizer)


def _beginning(tokenizer: Any) -> Any:
    from tokenizers import processors

    first = tokenizer.bos_token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A", special_tokens=[(first, tokenizer.bos_token_id)]
    )
    return tokenizer


def _learnt() -> Any:
    """Byte-level BPE that knows the words of `SENTENCES` whole, split as Qwen and Llama 3 split."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        min_frequency=1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = [word.strip(",.:") for sentence in SENTENCES for word in sentence.split()]
    made.train_from_iterator([*SENTENCES, *words, *(f" {word}" for word in words)], trainer)
    return made


def pixtral(tokenizer: Any) -> Any:
    """Mistral 3's processor of texts and pictures, which FLUX.2 keeps as its tokenizer."""
    from transformers import PixtralImageProcessor, PixtralProcessor

    size = {
        "image_processor": PixtralImageProcessor(
            size={"longest_edge": 28}, patch_size={"height": 14, "width": 14}
        )
    }
    return PixtralProcessor(**size, tokenizer=tokenizer, patch_size=14, chat_template=MISTRAL_CHAT)
