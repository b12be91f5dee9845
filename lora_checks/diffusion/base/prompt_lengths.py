"""Check that a base reads the whole of each prompt, with its tokenizers and without any weights.

Every text encoder silently truncates long prompts. With CLIP alone (SD 1.x, 2.x, XL) that is an error.
In SD 3 and FLUX the whole prompt goes through T5 and CLIP adds a summary of its first 77 tokens. There
exceeding T5's limit is an error and CLIP's a warning, because long prompts are usual with these bases.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ALSO, ConfigError, first_line
from lora_checks.core.records import Prompt, PromptSet
from lora_checks.diffusion.base import ResolvedBase, declared
from lora_checks.diffusion.base.family import family_of, has, index_of, settings

ENDLESS = 1_000_000  # transformers writes 1e30 where a tokenizer has no limit
TOKENIZERS = {f"tokenizer{number}": f"text_encoder{number}" for number in ("", "_2", "_3", "_4")}
TOKENIZERS["t5_tokenizer"] = "text_conditioner"  # of Anima, which reads T5's tokens without T5


@dataclass(frozen=True, slots=True)
class Reader:
    """A tokenizer with a text encoder."""

    name: str  # "CLIP", "T5", or the class of its tokenizer
    folder: Path
    tokenizer: str  # transformers class
    limit: int
    reads_all: bool  # it is meant to read whole prompts: what it truncates is lost
    most: int  # what the policy can raise the limit to


def check_prompt_lengths(base: ResolvedBase, prompts: PromptSet) -> tuple[str, ...]:
    """Return warnings about prompts that only CLIP's summary truncates.

    Raises:
        ConfigError: A part of a prompt is lost; the message names the file and line of each such prompt.
    """
    warnings, lost = [], []
    for reader in readers(base.folder, prompts.sampler.max_sequence_length):
        count = counter(reader)
        for place, what, text in _texts(prompts):
            tokens = count(text)
            if tokens <= reader.limit:
                continue
            has = f"{place}: {what} has {tokens} tokens"
            if reader.reads_all:
                lost.append(f"{has}, {_advice(reader)}")
            else:
                warnings.append(f"{has}, and CLIP reads only the first {reader.limit}; T5 reads all")
    if lost:
        raise ConfigError(ALSO.join(dict.fromkeys(lost)))
    return tuple(dict.fromkeys(warnings))


def _advice(reader: Reader) -> str:
    reads = f"and this base reads only the first {reader.limit}"
    if reader.limit >= reader.most:
        return f"{reads}; shorten it"
    return f"{reads}; shorten it or raise 'max_sequence_length' under sampler:"


def _texts(prompts: PromptSet) -> Iterator[tuple[str, str, str]]:
    """Yield (place, description, text) of everything that is tokenized."""
    for prompt in prompts.prompts:
        yield prompt.source, f"prompt '{prompt.id}'", prompt.text
    if prompts.sampler.negative:
        yield prompts.place("negative"), "the negative prompt", prompts.sampler.negative


def readers(folder: Path, asked: int | None) -> tuple[Reader, ...]:
    """Return a reader per tokenizer with an encoder; ``asked`` is the policy's max_sequence_length."""
    index = index_of(folder)
    names = [name for name, encoder in TOKENIZERS.items() if has(index, name) and has(index, encoder)]
    classes = {name: str(index[name][1]) for name in names}
    long = [name for name in names if not classes[name].startswith("CLIP")]
    family = family_of(folder) if long else None
    sequence = (asked or family.sequence) if family else None
    most = declared.LONGEST.get(family.pipeline, 0) if family else 0
    found = []
    for name in names:
        own = _limit(folder, name)
        limit = sequence or own if name in long else own
        kind = next((kind for kind in ("CLIP", "T5") if classes[name].startswith(kind)), classes[name])
        if limit < ENDLESS:
            raisable = most if name in long else 0
            found.append(
                Reader(kind, folder / name, classes[name], limit, name in long or not long, raisable)
            )
    return tuple(found)


def longest(folder: Path, prompts: PromptSet) -> Prompt:
    """Return the prompt with the most tokens, by the tokenizers that read whole prompts."""
    counters = [counter(reader) for reader in readers(folder, None) if reader.reads_all]
    return max(
        prompts.prompts,
        key=lambda prompt: (max((count(prompt.text) for count in counters), default=0), len(prompt.text)),
    )


def _limit(folder: Path, name: str) -> int:
    """Return the tokenizer's limit, or the number of its encoder's positions if that is smaller."""
    path = folder / name / "tokenizer_config.json"
    own = json.loads(path.read_text(encoding="utf-8")).get("model_max_length") if path.is_file() else None
    positions = settings(folder, TOKENIZERS[name]).get("max_position_embeddings")
    return min(int(limit) for limit in (own, positions, ENDLESS) if limit is not None)


def counter(reader: Reader) -> Callable[[str], int]:
    """Return a function that counts the tokens of a text, with the start and end tokens.

    tokenizer.json is read with the tokenizers library, which imports in milliseconds; without that file
    transformers builds the tokenizer from vocabulary and merges.
    """
    path = reader.folder / "tokenizer.json"
    try:
        return _fast(path) if path.is_file() else _slow(reader)
    except Exception as error:  # of either library; tokenizers raises bare Exception
        raise ConfigError(
            f"base {reader.folder}: the tokenizer does not load: {first_line(error)}"
        ) from error


def _fast(path: Path) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text).ids)


def _slow(reader: Reader) -> Callable[[str], int]:
    transformers: Any = importlib.import_module("transformers")
    tokenizer = getattr(transformers, reader.tokenizer).from_pretrained(reader.folder, local_files_only=True)
    return lambda text: len(tokenizer(text, truncation=False, verbose=False).input_ids)
