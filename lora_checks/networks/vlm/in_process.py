"""Ask a vision model of ``transformers`` in this process.

Where the installed transformers has the ``decision`` pipeline and the model a chat template, the pipeline
answers. Else the probabilities of the first token do, as in VQAScore (Lin et al. 2024).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lora_checks.core.contents import Contents
from lora_checks.core.errors import ConfigError, MeasureError, PrerequisiteError
from lora_checks.networks.vlm import first_token, systemone
from lora_checks.networks.vlm.api import Reply, Request
from lora_checks.networks.weights import cause, check_keys, identity, local_folder

CONFIG = "config.json"
DTYPES = ("auto", "float32", "bfloat16", "float16")
INDEX = "model.safetensors.index.json"
READ = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model"})  # what transformers may open


# Of a repository; the hub's client takes a snapshot for incomplete without what it was not told to leave out.
WANTED: Mapping[str, Any] = {
    "allow_patterns": [f"*{suffix}" for suffix in sorted(READ)],
    "ignore_patterns": ["*/*"],
}


class InProcess:
    """A vision model of transformers.

    Settings: ``model`` (a Hugging Face id, from the cache) with ``revision``, or ``path`` (a folder);
    ``dtype``, "auto" for that of the weights.
    """

    deterministic = True

    def __init__(self, settings: Mapping[str, Any], device: str) -> None:
        check_keys("judge", settings, {"kind", "api", "model", "revision", "path", "dtype"})
        if ("path" in settings) == ("model" in settings):
            raise ConfigError("networks: judge: name the model with 'model' or with 'path'")
        self.device = device
        self.dtype = settings.get("dtype", "auto")
        if self.dtype not in DTYPES:
            raise ConfigError(f"networks: judge: dtype must be one of {', '.join(DTYPES)}")
        self.folder, name = place(settings)
        self.files = Contents(*files(self.folder))
        how = "decision" if _decides(self.folder) else "first-token"
        self.id = identity("transformers", "1", {"how": how, "dtype": self.dtype}, [self._digest])
        self.label = f"{name} (in this process)"

    @property
    def _digest(self) -> str:
        return self.files.of(self.folder)

    def ask(self, requests: Sequence[Request], done: Callable[[int, Reply], None]) -> list[Reply]:
        """Answer one request after the other."""
        replies = []
        for index, request in enumerate(requests):
            try:
                reply = self._answer(request)
            except (ValueError, RuntimeError) as error:  # labels of several tokens, no room on the card
                raise MeasureError(f"{self.label} cannot answer: {cause(error)}") from error
            done(index, reply)
            replies.append(reply)
        return replies

    @cached_property
    def _answer(self) -> Callable[[Request], Reply]:
        model, processor = self._loaded
        if not _decides(self.folder):
            return first_token.answerer(model, processor)
        from transformers.pipelines.decision import DecisionPipeline

        pipeline = DecisionPipeline(
            model=model,
            tokenizer=processor.tokenizer,
            processor=processor,
            decision_config=_decision_config(self.folder),
        )
        return lambda request: _decided(pipeline, request)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import transformers

        library: Any = transformers
        options = {"local_files_only": True, "trust_remote_code": False}
        try:
            processor = library.AutoProcessor.from_pretrained(self.folder, **options)
            model, report = library.AutoModelForImageTextToText.from_pretrained(
                self.folder, dtype=self.dtype, use_safetensors=True, output_loading_info=True, **options
            )
        except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
            raise PrerequisiteError(
                f"networks: judge: {self.folder} cannot be loaded: {cause(error)}"
            ) from error
        if report["missing_keys"]:  # transformers would continue with random numbers there
            raise PrerequisiteError(
                f"networks: judge: {self.folder} lacks the weight {sorted(report['missing_keys'])[0]}; "
                "download it again"
            )
        return model.eval().to(self.device), processor


def _decided(pipeline: Any, request: Request) -> Reply:
    import torch

    with torch.inference_mode():
        inputs = pipeline.preprocess(systemone.body(request))
        refuse_blind(inputs["prompts"][0][0])
        answers = pipeline.postprocess(pipeline.forward(inputs))
    tokens = sum(prompt["input_ids"].shape[-1] for prompt, _ in inputs["prompts"])
    return Reply(systemone.probabilities(request, answers), tokens=int(tokens))


def refuse_blind(inputs: Mapping[str, Any]) -> None:
    """Raise `MeasureError` if no pixels reach the model."""
    if not any("pixel" in name or "image" in name for name in inputs):
        raise MeasureError("the model's processor took no picture; its chat template has no place for one")


def _decides(folder: Path) -> bool:
    """Tell whether the ``decision`` pipeline is there and can ask this model, as it can any chat model."""
    spec = find_spec("transformers")  # of the package alone: of its module it would import torch
    places = (spec.submodule_search_locations or ()) if spec else ()
    if not any(Path(place, "pipelines", "decision.py").is_file() for place in places):
        return False
    names = ("chat_template.jinja", "chat_template.json", "decision.json", "decision_template.jinja")
    if any((folder / name).is_file() for name in names):
        return True
    config = folder / "tokenizer_config.json"
    return config.is_file() and '"chat_template"' in config.read_text(encoding="utf-8")


def _decision_config(folder: Path) -> Any:
    from transformers.decision import DecisionConfig

    return DecisionConfig.from_pretrained(folder, local_files_only=True)


def place(settings: Mapping[str, Any]) -> tuple[Path, str]:
    """Return the model's folder on this machine, and its name for people; else raise `PrerequisiteError`."""
    if "path" in settings:
        folder = local_folder("judge", "path", settings["path"])
        return folder, folder.name
    from huggingface_hub import snapshot_download

    model, revision = str(settings["model"]), settings.get("revision")
    try:
        return Path(
            snapshot_download(model, revision=revision, local_files_only=True, **WANTED)
        ), model.rpartition("/")[2]
    except Exception as error:  # the hub client raises a dozen unrelated types
        at = f" --revision {revision}" if revision else ""
        raise PrerequisiteError(
            f"networks: judge: {model} is not on this machine; download it with `hf download {model}{at}`, "
            "or set 'path' to a copy"
        ) from error


def files(folder: Path) -> list[Path]:
    """Return the files that decide what the model says; raise `PrerequisiteError` if some are missing."""
    found = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in READ)
    if not (folder / CONFIG).is_file() or not any(path.suffix == ".safetensors" for path in found):
        raise PrerequisiteError(
            f"networks: judge: {folder} holds no {CONFIG} with weights in safetensors; save the model there"
        )
    index = folder / INDEX
    shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values() if index.is_file() else ()
    absent = sorted(name for name in set(shards) if not (folder / name).is_file())
    if absent:
        raise PrerequisiteError(f"networks: judge: {folder} lacks {absent[0]}; download the model again")
    return found
