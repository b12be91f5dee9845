"""Check ``--lora-axis`` before an hour is spent: one of the LoRAs has to have that key."""

from __future__ import annotations

from collections.abc import Mapping

from lora_checks.core.errors import ConfigError, LoraFileError
from lora_checks.core.records import Policy
from lora_checks.gate.facts import keys_of
from lora_checks.lora.candidates import Candidate
from lora_checks.policy.strict_yaml import suggestion
from lora_checks.record.ranking.axes import FACTS, NUMBERED

OPTION = "--lora-axis"
_SPELT = {"strength": "scale", "epochs": "epoch", "steps": "step", "ranks": "rank"}


def asked(text: str | None, loras: Mapping[str, Candidate], policy: Policy) -> str:
    """Return the key as the report spells it; "" if the option is not given.

    Raises:
        ConfigError: no LoRA has the key; the message lists those that they have.
    """
    if text is None:
        return ""
    word = _SPELT.get(text.strip().lower(), text.strip())
    told = [key for candidate in loras.values() for key in keys_of(candidate, policy)]
    facts = [fact for candidate in loras.values() for fact in _facts(candidate) if fact in FACTS]
    known = list(dict.fromkeys([*told, *NUMBERED, *facts]))
    for key in known:
        if _plain(key) in (_plain(text.strip()), _plain(word)):
            return key
    raise ConfigError(f"{OPTION}: no LoRA has the key '{text}'; {suggestion(word, known)}")


def _plain(key: str) -> str:
    return key.lower().replace("_", " ").replace("-", " ")


def _facts(candidate: Candidate) -> Mapping[str, str]:
    try:
        return candidate.read().facts
    except LoraFileError:  # a verdict of its own
        return {}
