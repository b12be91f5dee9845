"""Run CLIP through ``open_clip``: images and texts in one space, with the model's own preprocessing.

The features are not normalised; metrics do that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from lora_checks.core.contents import Contents
from lora_checks.core.errors import ConfigError, MeasureError, PrerequisiteError
from lora_checks.images.decoding import Pixels
from lora_checks.networks import Floats
from lora_checks.networks.batches import in_batches
from lora_checks.networks.weights import cause, check_keys, identity, known_digests, local_file, local_folder

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")  # in open_clip's order
HUB = {  # the popular part of open_clip's table; reading the rest imports torch
    ("ViT-B-32-quickgelu", "openai"): "timm/vit_base_patch32_clip_224.openai",
    ("ViT-B-16-quickgelu", "openai"): "timm/vit_base_patch16_clip_224.openai",
    ("ViT-L-14-quickgelu", "openai"): "timm/vit_large_patch14_clip_224.openai",
    ("ViT-L-14-336-quickgelu", "openai"): "timm/vit_large_patch14_clip_336.openai",
    ("ViT-B-32", "laion2b_s34b_b79k"): "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    ("ViT-L-14", "laion2b_s32b_b82k"): "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
    ("ViT-H-14", "laion2b_s32b_b79k"): "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
}
SETTINGS = frozenset({"model", "pretrained", "path", "file", "name"})


@dataclass(frozen=True, slots=True)
class Source:
    """A model's origin: the arguments for open_clip, and the files that decide its numbers."""

    model: str  # open_clip's name, or "local-dir:PATH"
    tag: str | None  # "openai"; decides the preprocessing of a named model
    weights: Path | None  # None: inside the local directory
    files: tuple[Path, ...]
    label: str


class Clip:
    """A CLIP model.

    Settings: ``model`` with ``pretrained`` (open_clip's names) and optionally ``file`` for the weights; or
    ``path``, a local directory with ``open_clip_config.json``, weights and tokenizer; ``name`` for people.
    """

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:
        check_keys("clip", settings, SETTINGS)
        self.device = device
        self.source = _local(settings) if "path" in settings else _named(settings)
        chosen = {key: settings[key] for key in ("model", "pretrained") if key in settings}
        self.files = Contents(*self.source.files, known=known_digests(cache))
        self.id = identity("clip", "1", chosen, self.files.digests)
        self.label = str(settings.get("name", self.source.label))

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, D) float32, not normalised."""
        import torch

        model, preprocess = self._model

        def encoded(some: list[Pixels]) -> Floats:
            batch = torch.stack([preprocess(Image.fromarray(image)) for image in some])
            features: Floats = model.encode_image(batch.to(self.device)).float().cpu().numpy()
            return features

        with torch.inference_mode():
            return in_batches(pixels, encoded)

    def streamed(self, pixels: Sequence[Pixels]) -> Floats:
        """Return what `images` does, which keeps nothing."""
        return self.images(pixels)

    def texts(self, texts: Sequence[str]) -> Floats:
        """Return (N, D) float32, not normalised; raise `MeasureError` for a text that would be cut off."""
        import torch

        model, tokenizer = self._model[0], self._tokenizer
        for text in texts:
            _check_length(text, tokenizer)

        def encoded(some: list[str]) -> Floats:
            features: Floats = model.encode_text(tokenizer(some).to(self.device)).float().cpu().numpy()
            return features

        with torch.inference_mode():
            return in_batches(texts, encoded)

    @cached_property
    def _model(self) -> tuple[Any, Any]:
        """Return the network and its preprocessing, a function of a PIL image."""
        import open_clip
        from safetensors import SafetensorError

        source = self.source
        options: dict[str, Any] = {}
        if source.weights is not None:
            # With a file, open_clip ignores the preprocessing that belongs to the tag.
            tag = open_clip.get_pretrained_cfg(source.model, source.tag or "")
            names = ("mean", "std", "interpolation", "resize_mode")
            options = {f"image_{name}": tag.get(name) for name in names}
            options["pretrained"] = str(source.weights)
        try:
            # The only constructor of open_clip that refuses to continue with random weights.
            model, preprocess = open_clip.create_model_from_pretrained(
                source.model, device=self.device, **options
            )
        except (RuntimeError, ValueError, OSError, KeyError, AttributeError, SafetensorError) as error:
            raise PrerequisiteError(
                f"networks: clip: {source.label} cannot be loaded: {cause(error)}"
            ) from error
        return model.eval(), preprocess

    @cached_property
    def _tokenizer(self) -> Any:
        import open_clip

        try:
            return open_clip.get_tokenizer(self.source.model)
        except (OSError, ValueError) as error:
            raise PrerequisiteError(
                f"networks: clip: the tokenizer cannot be loaded: {cause(error)}"
            ) from error


def _local(settings: Mapping[str, Any]) -> Source:
    others = settings.keys() & {"model", "pretrained", "file"}
    if others:
        raise ConfigError(
            f"networks: clip: 'path' already names the model; remove {', '.join(sorted(others))}"
        )
    folder = local_folder("clip", "path", settings["path"])
    files = tuple(sorted(path for path in folder.iterdir() if path.is_file()))
    if not (folder / CONFIG).is_file():
        raise PrerequisiteError(
            f"networks: clip: path: {folder} has no {CONFIG}; export the model with open_clip"
        )
    if not any(path.suffix in (".safetensors", ".bin", ".pth") for path in files):
        raise PrerequisiteError(f"networks: clip: path: {folder} has no weights ({' or '.join(WEIGHTS)})")
    return Source(f"local-dir:{folder}", None, None, files, f"CLIP {folder.name} (local)")


def _named(settings: Mapping[str, Any]) -> Source:
    model, tag = settings.get("model"), settings.get("pretrained")
    if not isinstance(model, str) or not (isinstance(tag, str) or "file" in settings):
        raise ConfigError(
            "networks: clip: name a 'model' and its 'pretrained' weights (for example ViT-B-32-quickgelu and "
            "openai), or a 'path'; without weights the model would be random"
        )
    config = _config(model)
    if tag == "openai" and not config.get("quick_gelu", False):
        # OpenAI trained with QuickGELU; another activation changes the numbers.
        raise ConfigError(
            f"networks: clip: model: the openai weights need QuickGELU; name the model '{model}-quickgelu'"
        )
    _check_tokenizer(model, config["text_cfg"].get("hf_tokenizer_name"))
    if "file" in settings:
        weights = local_file("clip", "file", settings["file"])
        return Source(model, tag, weights, (weights,), f"CLIP {model} ({tag or weights.name}, from a file)")
    weights = _cached(model, str(tag))
    return Source(model, tag, weights, (weights,), f"CLIP {model} ({tag})")


def _config(model: str) -> dict[str, Any]:
    """Return open_clip's configuration of a model, without importing open_clip."""
    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise PrerequisiteError("networks: clip: open_clip is not installed; pip install open_clip_torch")
    known = {path.stem: path for path in (Path(spec.origin).parent / "model_configs").glob("*.json")}
    if model not in known:
        close = get_close_matches(model, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else "see open_clip.list_models()"
        raise ConfigError(f"networks: clip: model: open_clip has no '{model}'; {hint}")
    config: dict[str, Any] = json.loads(known[model].read_text(encoding="utf-8"))
    return config


def _check_tokenizer(model: str, repository: str | None) -> None:
    """Raise `PrerequisiteError` if a model's tokenizer comes from the Hugging Face hub and is not cached."""
    from huggingface_hub import try_to_load_from_cache

    if repository and not isinstance(try_to_load_from_cache(repository, "tokenizer_config.json"), str):
        raise PrerequisiteError(
            f"networks: clip: the tokenizer of {model} is not on this machine; download it with "
            f"`python -c \"import open_clip; open_clip.get_tokenizer('{model}')\"`"
        )


def repository(model: str, tag: str) -> str:
    """Return the hub repository of a tag's weights. Raises `ConfigError` if open_clip has none."""
    return HUB.get((model, tag)) or _listed(model, tag)


def tokenizer_of(model: str) -> str | None:
    """Return the hub repository of a model's tokenizer; None for the one that open_clip contains."""
    name: str | None = _config(model)["text_cfg"].get("hf_tokenizer_name")
    return name


def _cached(model: str, tag: str) -> Path:
    """Return the path of a tag's weights in the Hugging Face cache."""
    from huggingface_hub import try_to_load_from_cache

    hub = repository(model, tag)
    for name in WEIGHTS:
        path = try_to_load_from_cache(hub, name)
        if isinstance(path, str):
            return Path(path)
    raise PrerequisiteError(
        f"networks: clip: the weights of {model} ({tag}) are not on this machine; download them with "
        f"`python -c \"import open_clip; open_clip.create_model('{model}', '{tag}')\"`, "
        f"or set 'file' to a copy of {hub}/{WEIGHTS[0]}"
    )


def _listed(model: str, tag: str) -> str:
    """Return the repository of a tag, from open_clip itself."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        raise ConfigError(
            f"networks: clip: pretrained: {model} has no '{tag}'; known: {', '.join(tags) or 'none'}"
        )
    hub, _, name = open_clip.get_pretrained_cfg(model, tag).get("hf_hub", "").rpartition("/")
    if not hub or name:
        raise ConfigError(
            f"networks: clip: pretrained: {model} ({tag}) has no repository; set 'file' to its weights"
        )
    return str(hub)


def _check_length(text: str, tokenizer: Any) -> None:
    """Raise `MeasureError` for a long text, which tokenizers would cut off silently."""
    if hasattr(tokenizer, "encode"):  # open_clip's own; it adds a start and an end
        count = len(tokenizer.encode(text)) + 2
    else:
        count = len(tokenizer.tokenizer(tokenizer.clean_fn(text), verbose=False)["input_ids"])
    if count > tokenizer.context_length:
        raise MeasureError(
            f"'{text}' has {count} tokens and CLIP reads {tokenizer.context_length}; shorten the prompt"
        )
