"""The keys of prompts.yaml."""

from __future__ import annotations

from dataclasses import replace

from lora_checks.policy.keys import FLAG, NAME_PATTERN, PIXELS, TEXT, Key, Keys, choice, listed
from lora_checks.policy.quantization_formats import FORMATS, KINDS

QUANTIZATION = Keys(
    "base: quantization: a network",
    (
        Key("library", choice(list(FORMATS)), "The library that quantises it.", required=True),
        Key(
            "format",
            choice(sorted({name for names in FORMATS.values() for name in names})),
            "; ".join(f"{library}: {', '.join(names)}" for library, names in FORMATS.items()) + ".",
            required=True,
        ),
        Key("skip", listed(TEXT), "Names of modules that stay as they are, such as `proj_out`."),
    ),
)
BASE = Keys(
    "base",
    (
        Key("model", TEXT, "A hub id `owner/name`, a pipeline folder, or a .safetensors checkpoint.", True),
        Key("revision", TEXT, "A commit, tag or branch of the hub. A branch can move: pin the commit."),
        Key("config", TEXT, "A pipeline folder or hub id with the settings of a single checkpoint."),
        Key("vae", TEXT, "A folder, .safetensors file or hub id of a VAE in place of the base's."),
        *(
            Key(
                kind,
                TEXT,
                f"A .gguf file, or `owner/name/file.gguf` of the hub, in place of the {kind}'s weights.",
            )
            for kind in KINDS
        ),
        Key(
            "quantization",
            {"type": "object", "additionalProperties": QUANTIZATION.schema(), "minProperties": 1},
            "How networks of the base are quantised while they are loaded, by the pipeline's names for them: "
            "`{transformer: {library: torchao, format: int8wo}}`. A base saved quantised needs no key.",
        ),
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
            "For rows with `tagged:`. Prompts tagged `no-trigger`, `class-only`, `unrelated` or `provoking` "
            "count for no other rows.",
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
