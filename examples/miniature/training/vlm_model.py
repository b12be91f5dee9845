"""Put the miniature's vision-language model together: LLaVA's architecture, processor and tokenizer."""

# mypy: disable-error-code="no-untyped-call"
# (transformers types few of its constructors)

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import questions
from common import MINIATURE, TRAINING
from draw import sample_identity, sample_scene
from faults import faulty, plain
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from wordings import every_text

VLM_DIR: Path = MINIATURE / "evaluators" / "vlm"

SIZE, PATCH = 64, 8
PATCHES = (SIZE // PATCH) ** 2
SIGHT = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 5, "num_attention_heads": 4}
SPEECH = {"hidden_size": 128, "intermediate_size": 320, "num_hidden_layers": 3, "num_attention_heads": 4}
LONGEST = 1024

PAD, UNKNOWN, START, END, USER, ASSISTANT, IMAGE = SPECIAL = (
    "<pad>", "<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<image>",
)  # fmt: skip

# A system message is not shown to the model: it has never seen one.
CHAT_TEMPLATE = """{{- '<s>' -}}
{%- for message in messages if message.role != 'system' -%}
{{- '<|assistant|>' if message.role == 'assistant' else '<|user|>' -}}
{%- if message.content is string -%}{{- message.content -}}{%- else -%}
{%- for part in message.content -%}
{{- '<image>' if part.type in ('image', 'image_url') else part.text -}}
{%- endfor -%}{%- endif -%}
{%- if message.role == 'assistant' -%}{{- '</s>' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""


def _sentences(count: int = 2000) -> Iterator[str]:
    """Write questions as the training does, for their words."""
    rng = np.random.default_rng([TRAINING, 40])
    yield from every_text()
    for _ in range(count):
        pair = sample_identity(rng), sample_scene(rng)
        truth = plain(*pair) if rng.random() < 0.5 else faulty(*pair, rng)[1]
        for asked in questions.about(truth, rng):
            yield asked.text + " " + asked.answer
        yield questions.same(True, rng).text


def _words() -> list[str]:
    """Return every word of the questions, and single letters and signs, of which other words are made."""
    split, lower = _splitter(), normalizers.Lowercase()
    words = {word for text in _sentences() for word, _ in split.pre_tokenize_str(lower.normalize_str(text))}
    signs = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    return [*signs, *(f"##{sign}" for sign in signs), *sorted(words - set(signs))]


def _splitter() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()])


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of the questions' words, lower case, without spaces; the same one each time."""
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *_words()))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=40))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = _splitter()
    tokenizer.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=START,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT, IMAGE],
        model_max_length=LONGEST,
        clean_up_tokenization_spaces=False,
    )


def make_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    images = CLIPImageProcessor(
        size={"height": SIZE, "width": SIZE},
        do_center_crop=False,
        crop_size={"height": SIZE, "width": SIZE},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
    )


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=SIZE, patch_size=PATCH, projection_dim=128, **SIGHT),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=LONGEST,
            tie_word_embeddings=True,
            **ids,
            **SPEECH,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=PATCHES,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
        **ids,
    )
    return LlavaForConditionalGeneration(config)
