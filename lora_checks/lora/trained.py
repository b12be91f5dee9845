"""What PEFT's settings say of the training beyond strengths: whether the layers of the file are all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.header import shown

_TYPES = ("LORA", "LOHA", "LOKR")
# Settings of PEFT by which a LoRA is more than its layers -> what that is.
_MORE = {
    "modules_to_save": "whole modules were trained beside its layers, which are not loaded",
    "target_parameters": "it changes parameters that are no weight of a module, which cannot be applied here",
    "trainable_token_indices": "tokens were trained beside its layers, which are not loaded",
    "layer_replication": "it was trained on a base with repeated layers",
    "alora_invocation_tokens": "it acts on some tokens only, which is not done here",
    "use_qalora": "its lora_A takes pooled inputs, which cannot be applied here",
    "use_bdlora": "its matrices are block-diagonal, which cannot be applied here",
    "velora_config": "its layers work in another way, which cannot be applied here",
    "monteclora_config": "its layers are drawn at random, which cannot be applied here",
    "kasa_config": "its layers have singular values of their own, which cannot be applied here",
    "arrow_config": "it chooses among several adapters, which cannot be done here",
}
_ORDINARY = (
    None,
    True,
    False,
    "gaussian",
    "orthogonal",
)  # values of `init_lora_weights` that leave the base unchanged


def check_trained(settings: Mapping[str, Any], source: str) -> None:
    """Raise `LoraFileError` if PEFT trained more than the layers of the file, or in another way."""
    kind = settings.get("peft_type")
    if kind not in (None, *_TYPES):
        raise LoraFileError(
            f"is a PEFT adapter of type {shown(str(kind))} ({source}); PEFT's {', '.join(_TYPES)} are applied"
        )
    if settings.get("bias") not in (None, "none"):
        raise LoraFileError(
            f"was trained with bias {shown(str(settings['bias']))} ({source}): the base's biases changed "
            'too, which no LoRA holds; train it with bias "none"'
        )
    for key, what in _MORE.items():
        if is_stated(settings.get(key)) and settings[key] != []:
            listed = settings[key]
            names = f" {shown(', '.join(map(str, listed)))}" if isinstance(listed, list) else ""
            raise LoraFileError(f"was trained with {key}{names} ({source}): {what}; train it without")


def is_stated(value: Any) -> bool:
    """Return whether a setting has a value; 0 is a value."""
    return value is not None and value is not False and value != {}


def initial_notes(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Warn about PiSSA, OLoRA, CorDA and LoftQ, which move part of the base's weight into the LoRA."""
    return [
        f"was initialised with init_lora_weights {shown(str(kind))} ({name}), which changes the base's "
        "weights in training: on the original base it is correct only if it was converted when it was saved"
        for name, values in settings.items()
        if (kind := values.get("init_lora_weights")) not in _ORDINARY
    ]
