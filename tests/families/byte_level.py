"""Tiny byte-level tokenizers of other language models: each byte is a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

END = "<|endoftext|>"


def glm(limit: int = 8192) -> Any:
    """GLM's: two tokens before every text, padded on the left."""
    start = ("[gMASK]", "<sop>")
    return _byte_level((END, *start), limit, start, eos_token=END, padding_side="left")


def gemma() -> Any:
    """Gemma's, which names no limit."""
    return _byte_level(("<pad>", "<eos>", "<bos>"), int(1e30), ("<bos>",), eos_token="<eos>")


def byt5(limit: int = 128) -> Any:
    """ByT5's has no vocabulary: a token is a byte plus three."""
    return ByT5Tokenizer(model_max_length=limit)


def _byte_level(special: Sequence[str], limit: int, before: Sequence[str], **settings: Any) -> Any:
    """The first special token pads; `before` stands before every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    words = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {word: index for index, word in enumerate(words)}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(list(special))
    made.post_processor = processors.TemplateProcessing(
        single=" ".join([*before, "$A"]), special_tokens=[(word, vocabulary[word]) for word in before]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=limit, unk_token=None, pad_token=special[0], **settings
    )
