"""The keys of thresholds.yaml and prompts.yaml, for the reader, the JSON Schemas and docs/policy.md.

A key's ``value`` is a JSON Schema. It states what a schema can; the reader checks the rest (that a folder
exists, that a prompt has the trigger, that a limit can be met).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from lora_checks.core.quantity import SHARES, STATS_WITH_INTERVAL
from lora_checks.core.records import Pairing, Rule, Stat

Schema = Mapping[str, Any]

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"  # of rows, folders, networks and prompts

TEXT: Schema = {"type": "string", "pattern": r"\S"}
FLAG: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
PIXELS: Schema = {"type": "integer", "minimum": 8, "multipleOf": 8}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping."""

    name: str
    value: Schema
    meaning: str  # one sentence, or a few
    required: bool = False


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one mapping, and what they must fulfil together."""

    title: str  # where the mapping stands: "checks: NAME"
    keys: tuple[Key, ...]
    together: Schema | None = None  # further JSON Schema of the whole mapping

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(key.name for key in self.keys if key.required)

    @property
    def optional(self) -> tuple[str, ...]:
        return tuple(key.name for key in self.keys if not key.required)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the mapping."""
        properties = {key.name: {**key.value, "description": key.meaning} for key in self.keys}
        return {
            "type": "object",
            "properties": properties,
            "required": list(self.required),
            "additionalProperties": False,
            **(self.together or {}),
        }


def listed(item: Schema, least: int = 0) -> Schema:
    """Return the schema of a list of at least ``least`` items."""
    return {"type": "array", "items": item, **({"minItems": least} if least else {})}


def named(value: Schema, least: int = 0) -> Schema:
    """Return the schema of a mapping from names to values."""
    names = {"propertyNames": {"pattern": f"^{NAME_PATTERN}$"}, "additionalProperties": value}
    return {"type": "object", **names, **({"minProperties": least} if least else {})}


def choice(options: Sequence[str]) -> Schema:
    return {"enum": list(options)}


SHARE_OF = Keys(
    "stat",
    (
        Key("share_at_least", NUMBER, "The share of images with at least this value."),
        Key("share_at_most", NUMBER, "The share of images with at most this value."),
    ),
    {"minProperties": 1, "maxProperties": 1},
)
_STATS = [stat for stat in get_args(Stat) if stat not in SHARES]
_NO_INTERVAL = [stat for stat in _STATS if stat not in STATS_WITH_INTERVAL]
_STAT: Schema = {
    "oneOf": [
        choice(_STATS),
        SHARE_OF.schema(),
    ]
}
_LIMITED: Schema = {
    "anyOf": [{"required": ["min"]}, {"required": ["max"]}],
    "not": {
        "properties": {"rule": {"const": "bound"}, "stat": choice(_NO_INTERVAL)},
        "required": ["rule", "stat"],
    },
}

CALIBRATED_ON = Keys(
    "checks: NAME: calibrated_on",
    (
        Key("identity", TEXT, "The identity of what the limits were measured with.", required=True),
        Key("good", listed(TEXT, 1), "The LoRAs that the limits let pass.", required=True),
        Key("bad", listed(TEXT), "The LoRAs that the limits stop."),
        Key("margin", NUMBER, "The distance between the good and the bad LoRAs, in the row's unit."),
        Key("n", {"type": "integer", "minimum": 1}, "The number of images of each LoRA."),
    ),
)
ROW = Keys(
    "checks: NAME",
    (
        Key("metric", TEXT, "What is measured: a name of docs/metrics.md, or of your own metric.", True),
        Key("why", TEXT, "The reason for this limit. Every report shows it.", True),
        Key("min", NUMBER, "The least value that passes. A row has `min`, `max` or both."),
        Key("max", NUMBER, "The largest value that passes."),
        Key(
            "stat",
            _STAT,
            "Which statistic of the images' values is limited: `mean` (the default), `min`, `max`, `median`, "
            "`worst_prompt`, the share of images without a value (`missing`), or the share of images at "
            "least or at most at a value, as `{share_at_least: 0.5}`.",
        ),
        Key(
            "rule",
            choice(get_args(Rule)),
            "`estimate` (the default) judges the value; `bound` the one-sided 95 % bound, so that a LoRA at "
            "the limit passes in 5 % of runs. Needs `mean`, `missing` or a share.",
        ),
        Key("required", FLAG, "false: the row is measured and shown, and stops no release."),
        Key("against", TEXT, "What the images are compared with: a name under `folders:`, or `baseline`."),
        Key(
            "pairing",
            choice(get_args(Pairing)),
            "Which pictures of the folder an image is compared with: the `nearest`, all (`mean`), the one of "
            "the same name (`named`), or the one at the same place in order (`sorted`).",
        ),
        Key("network", TEXT, "A name under `networks:`, in place of the metric's own."),
        Key("gain", FLAG, "true: the value less that of the base's image of the same prompt and seed."),
        Key("tagged", TEXT, "Only the images of prompts with this tag."),
        Key("texts", listed(TEXT), "The texts that the metric compares images with, where it takes some."),
        Key("literal", FLAG, "true: the texts are meant letter for letter, not as another program's syntax."),
        Key("max_missing", SHARE, "The share of images that may have no value, such as no face."),
        Key(
            "bands",
            {"type": "object", "additionalProperties": NUMBER},
            "Names for values, from best to worst: `{excellent: 0.15, good: 0.25}`. They decide nothing.",
        ),
        Key("calibrated_on", CALIBRATED_ON.schema(), "Where the limits come from; `calibrate` writes it."),
    ),
    _LIMITED,
)
ALLOWANCE = Keys(
    "regression: NAME",
    (
        Key("allowed", {"type": "number", "minimum": 0}, "How much worse the row may become.", True),
        Key("rule", choice(get_args(Rule)), "As of a row; the row's own if left out."),
    ),
)
WEIGHT = Keys(
    "ranking: NAME",
    (
        Key("from", NUMBER, "The value that is worth 0.", required=True),
        Key("to", NUMBER, "The value that is worth 1; better ones are worth no more.", required=True),
        Key("weight", {"type": "number", "exclusiveMinimum": 0}, "The row's part; 1 if left out."),
    ),
)
THRESHOLDS = Keys(
    "thresholds.yaml",
    (
        Key(
            "checks",
            named(ROW.schema(), 1),
            "The rows by name. Each is a check; all required ones must pass.",
            True,
        ),
        Key(
            "folders",
            named(TEXT),
            "Folders of pictures, or .npz files of statistics, by name, relative to the policy's folder.",
        ),
        Key(
            "networks",
            named({"type": "object"}),
            "Settings of the networks that measure, by name; docs/metrics.md lists them.",
        ),
        Key(
            "unused_tensors",
            {"type": "object", "additionalProperties": TEXT},
            "Patterns of tensors that the base has no place for, such as `lora_te_*`, each with the reason.",
        ),
        Key(
            "regression",
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"oneOf": [{"type": "number", "minimum": 0}, ALLOWANCE.schema()]},
            },
            "How much worse than the approved release a row may become: `identity: 0.02`.",
        ),
        Key(
            "ranking",
            {"type": "object", "minProperties": 1, "additionalProperties": WEIGHT.schema()},
            "Which rows order the LoRAs that pass; all required ones if left out.",
        ),
    ),
)

BASE = Keys(
    "base",
    (
        Key("model", TEXT, "A hub id `owner/name`, a pipeline folder, or a .safetensors checkpoint.", True),
        Key("revision", TEXT, "A commit, tag or branch of the hub. A branch can move: pin the commit."),
        Key("config", TEXT, "A pipeline folder or hub id with the settings of a single checkpoint."),
        Key("vae", TEXT, "A folder, .safetensors file or hub id of a VAE in place of the base's."),
    ),
)
_STEPS = Key("steps", {"type": "integer", "minimum": 1}, "Denoising steps.", required=True)
_SETTINGS = (
    Key(
        "guidance",
        {"type": "number", "minimum": 0},
        "The pipeline's guidance_scale; its own default if left out, as for a base that takes none.",
    ),
    Key("negative", {"type": "string"}, "The negative prompt."),
    Key(
        "true_cfg_scale",
        {"type": "number", "minimum": 1},
        "Guidance by a negative prompt, if the base has it.",
    ),
    Key(
        "scheduler",
        TEXT,
        "A scheduler class of diffusers in place of the base's, such as `DDIMScheduler`.",
    ),
    Key("scheduler_settings", {"type": "object"}, "Settings of the scheduler in place of the base's."),
    Key(
        "max_sequence_length",
        {"type": "integer", "minimum": 1},
        "Tokens of the prompt that the base reads.",
    ),
)
BASE_SAMPLER = Keys(
    "sampler: base",
    (
        replace(_STEPS, required=False),
        *(
            replace(key, meaning=f"{key.meaning[:-1]}; `own` for the one that the base was saved with.")
            if key.name == "scheduler"
            else key
            for key in _SETTINGS
        ),
    ),
    {"minProperties": 1},
)
SAMPLER = Keys(
    "sampler",
    (
        _STEPS,
        Key("width", PIXELS, "Pixels.", required=True),
        Key("height", PIXELS, "Pixels.", required=True),
        *_SETTINGS,
        Key(
            "base",
            BASE_SAMPLER.schema(),
            "What differs in the images without the LoRA, where a LoRA for few steps meets a base that takes "
            "many: `{steps: 30, guidance: 7.0, scheduler: own}`. The rest is as with the LoRA.",
        ),
    ),
)
PROMPT = Keys(
    "prompts: an entry",
    (
        Key(
            "id", {"type": "string", "pattern": f"^{NAME_PATTERN}$"}, "The name of the prompt's images.", True
        ),
        Key("text", TEXT, "The prompt, with the trigger, in plain words.", required=True),
        Key(
            "tags",
            listed(TEXT),
            "For rows with `tagged:`. Prompts tagged `no-trigger`, `class-only` or `unrelated` count for "
            "no other rows.",
        ),
        Key("literal", FLAG, "true: the text is meant letter for letter."),
    ),
)
PROMPTS = Keys(
    "prompts.yaml",
    (
        Key("base", BASE.schema(), "The base model.", required=True),
        Key("sampler", SAMPLER.schema(), "How each image is made.", required=True),
        Key("trigger", TEXT, "The words that the LoRA was trained on; every prompt has them.", required=True),
        Key(
            "class_words",
            TEXT,
            "What the trigger means, in words that a text encoder knows: `person`, `dog`, or for a "
            "style `illustration`. CLIP gets these instead of the trigger.",
            required=True,
        ),
        Key(
            "seeds", listed({"type": "integer", "minimum": 0}, 1), "Each prompt is made with each seed.", True
        ),
        Key(
            "prompts",
            listed(PROMPT.schema(), 1),
            "The prompts; they are the sample behind the intervals.",
            True,
        ),
        Key("literal", FLAG, "true: all texts are meant letter for letter."),
    ),
)
FILES: Mapping[str, Keys] = {"thresholds": THRESHOLDS, "prompts": PROMPTS}
MAPPINGS = (THRESHOLDS, ROW, CALIBRATED_ON, ALLOWANCE, WEIGHT, PROMPTS, BASE, SAMPLER, BASE_SAMPLER, PROMPT)
