"""Tiny byte-level tokenizers, as the large language models that encode prompts have: each byte is a token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import ByT5Tokenizer, PreTrainedTokenizerFast, Qwen2Tokenizer

VOCABULARY = 300  # 256 bytes, and room for the special tokens
END = "<|endoftext|>"
QWEN = (END, "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|video_pad|>")
CHAT = """\
{% for message in messages %}<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}\
{% for part in message.content if part.type == 'text' %}{{ part.text }}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def qwen(limit: int = 131072) -> Any:
    """Qwen's, with the template that its chats are written in."""
    return _byte_level(Qwen2Tokenizer, QWEN, limit, chat_template=CHAT)


def glm(limit: int = 8192) -> Any:
    """GLM's: two tokens before every text, padded on the left."""
    start = ("[gMASK]", "<sop>")
    return _byte_level(PreTrainedTokenizerFast, (END, *start), limit, start, padding_side="left")


def gemma() -> Any:
    """Gemma's, which names no limit."""
    return _byte_level(PreTrainedTokenizerFast, ("<pad>", "<eos>", "<bos>"), int(1e30), ("<bos>",))


def mistral(limit: int = 512) -> Any:
    return _byte_level(PreTrainedTokenizerFast, ("<pad>", "</s>", "<s>"), limit, ("<s>",))


def byt5(limit: int = 128) -> Any:
    """ByT5's has no vocabulary: a token is a byte plus three."""
    return ByT5Tokenizer(model_max_length=limit)


def _byte_level(
    kind: Any, special: Sequence[str], limit: int, before: Sequence[str] = (), **settings: Any
) -> Any:
    """The first special token pads; `before` stands before every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    words = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {word: index for index, word in enumerate(words)}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(list(special))
    if before:
        made.post_processor = processors.TemplateProcessing(
            single=" ".join([*before, "$A"]), special_tokens=[(word, vocabulary[word]) for word in before]
        )
    ends = {"pad_token": special[0], "eos_token": special[1] if len(special) == 3 else special[0]}
    return kind(tokenizer_object=made, model_max_length=limit, unk_token=None, **ends | settings)


def processor(folder: Path) -> Any:
    """Qwen2.5-VL's processor, whose tokenizer reads the text and whose other parts would read pictures."""
    from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    folder.mkdir(parents=True, exist_ok=True)
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(),
        video_processor=Qwen2VLVideoProcessor(),
        tokenizer=qwen(),
        chat_template=CHAT,
    )
