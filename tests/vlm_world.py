"""A vision model that answers from the pixels, and a tiny one of transformers."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from lora_checks.networks.vlm import api
from lora_checks.networks.vlm.api import Reply, Request

Answer = Callable[
    [Request, list[Any]], float
]  # the request and its pictures, (H, W, 3) -> P of the first option


class Table:
    """An API that answers by a function of text and pixels; counts what it is asked."""

    answer: ClassVar[Answer]
    asked: ClassVar[list[Request]] = []
    deterministic: ClassVar[bool] = True
    name: ClassVar[str] = "table"

    def __init__(self, settings: Mapping[str, Any], device: str) -> None:
        del device
        self.id = f"table {settings.get('model', self.name)}"
        self.label = "a table"

    def ask(self, requests: Sequence[Request], done: Callable[[int, Reply], None]) -> list[Reply]:
        replies = []
        for index, request in enumerate(requests):
            type(self).asked.append(request)
            pictures = [np.asarray(Image.open(io.BytesIO(image)), np.float64) for image in request.images]
            reply = self.reply(request, type(self).answer(request, pictures))
            done(index, reply)
            replies.append(reply)
        return replies

    def reply(self, request: Request, chance: float) -> Reply:
        rest = (1 - chance) / (len(request.options) - 1)
        return Reply((chance, *[rest] * (len(request.options) - 1)), tokens=100)


CURRENT: type[Table]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> type[Table]:
    """Offer ``api: table``, which answers by the pixels; its answer and its fate can be set."""

    class Fresh(Table):
        answer = staticmethod(redness)
        asked: ClassVar[list[Request]] = []

    monkeypatch.setitem(api.APIS, "table", f"{__name__}:CURRENT")
    monkeypatch.setattr(sys.modules[__name__], "CURRENT", Fresh, raising=False)
    return Fresh


def redness(_: Request, pictures: list[Any]) -> float:
    """Return how red the first picture is, in [0, 1]."""
    return float(pictures[0][..., 0].mean() / 255)


SUBJECT, BASE, MELTED = (0, 200, 0), (0, 90, 0), (200, 200, 0)  # a person is green here; the subject more so


def drawn(folder: Path, name: str, colour: tuple[int, int, int]) -> Path:
    """Draw a green person on red or blue, by the name; melted ones are yellow."""
    folder.mkdir(exist_ok=True)
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[4:12, 4:12] = colour
    ground = (255, 0, 0) if "red" in name else (0, 0, 255)
    pixels[:, :3] = ground
    Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder / f"{name}.png"


def person(pixels: Any) -> float:
    """Return how green the middle is, and nothing else in it."""
    red, green, blue = pixels[5:11, 5:11].mean(axis=(0, 1))
    flat = float(pixels[5:11, 5:11].std(axis=(0, 1)).max())
    return float(green > 50 and green > red + 50 and green > blue + 50 and flat < 5)


def sees(request: Request, pictures: list[Any]) -> float:
    """Answer as a good judge of this world would."""
    first, text = pictures[0], request.text
    if text == "Is the picture red?":
        return float(first[..., 0].mean() > first[..., 2].mean())
    if "same" in text:
        return 0.9 if person(first) and abs(first[8, 8, 1] - pictures[1][8, 8, 1]) < 20 else 0.1
    if " in red" in text or " in blue" in text:
        asked = 0 if " in red" in text else 2
        return 0.8 if first[0, 0, asked] > 128 else 0.2
    return 0.9 * person(first) + 0.05


WORDS = (
    "yes no a b c is the picture red blue of person first second : ? . only answer or with letter that fits"
)


def tiny_llava(folder: Path, *, chat: bool = True) -> Path:
    """Save a LLaVA of random weights, some 20 thousand parameters."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    special = ["<pad>", "<unk>", "<s>", "</s>", "<image>"]
    words = {word: index for index, word in enumerate([*special, *dict.fromkeys(WORDS.split())])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast: Any = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<image>"],
    )
    template = (
        "{%- for message in messages -%}{%- if message.content is string -%}{{- message.content -}}"
        "{%- else -%}{%- for part in message.content -%}"
        "{{- '<image>' if part.type == 'image' else part.text -}}{%- endfor -%}{%- endif -%}{%- endfor -%}"
    )
    images: Any = CLIPImageProcessor(
        size={"height": 16, "width": 16}, do_center_crop=False, crop_size={"height": 16, "width": 16}
    )
    processor: Any = LlavaProcessor(
        image_processor=images,
        tokenizer=fast,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template if chat else None,
        image_token="<image>",
    )
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=16, patch_size=8, projection_dim=16, **small),
        text_config=LlamaConfig(
            vocab_size=len(words), pad_token_id=0, bos_token_id=2, eos_token_id=3, **small
        ),
        image_token_index=words["<image>"],
        image_seq_length=4,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        pad_token_id=0,
    )
    model: Any = LlavaForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)  # so that another picture has another answer
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
