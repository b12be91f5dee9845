"""The keys of thresholds.yaml."""

from __future__ import annotations

from typing import get_args

from lora_checks.core.quantity import SHARES, STATS_WITH_INTERVAL
from lora_checks.core.records import Pairing, Rule, Stat
from lora_checks.core.records.questions import Control, Kind, Reference
from lora_checks.policy.keys import FLAG, NUMBER, SHARE, TEXT, Key, Keys, Schema, choice, listed, named

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
        Key(
            "question",
            TEXT,
            "For the metric `judge`: a name under `questions:`, or one of the gate's own (`person`, "
            "`same-person`, `adherence`, `adherence-simple`, `quality`, `limbs`, `artifacts`).",
        ),
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
QUESTION = Keys(
    "questions: NAME",
    (
        Key("predicate", TEXT, "A question to answer with yes or no; its value is the probability of yes."),
        Key("choice", TEXT, "A question with `options`; its value is the probability of the good ones."),
        Key("score", TEXT, "A question with `levels`; its value is the expected level, from 0 to 1."),
        Key("options", listed(TEXT, 2), "The answers of a choice."),
        Key("levels", listed(TEXT, 2), "The answers of a score, from worst to best."),
        Key(
            "good",
            {"oneOf": [FLAG, TEXT, listed(TEXT, 1)]},
            "Which answer is good. Of a predicate `true` (the default) or `false`, of a choice its options.",
        ),
        Key(
            "reference",
            choice(get_args(Reference)),
            "Which reference is shown as the second picture: `none` (the default), the `nearest`, or `each` "
            "in turn. The text calls them the first picture and the second picture.",
        ),
        Key("by", TEXT, "A name under `networks:`, which finds the nearest reference."),
        Key(
            "most",
            {"type": "integer", "minimum": 1},
            "With `each`: how many references are shown, evenly chosen; all if left out.",
        ),
        Key(
            "controls",
            listed(choice(get_args(Control))),
            "On which pictures the answer must be bad before one is believed: grey, noise and white "
            "(`blank`), those of other prompts (`other_prompt`), the base's (`base`), those of the folder "
            "`bad` (`bad`).",
        ),
        Key("tagged", TEXT, "Ask only about the images of prompts with this tag."),
    ),
    {"allOf": [{"oneOf": [{"required": [kind]} for kind in get_args(Kind)]}]},
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
            "Pictures by name, relative to the policy's folder: a folder, .tar or .parquet files "
            "(`shards/{00000..00049}.tar`), a saved dataset, or an .npz file of statistics.",
        ),
        Key(
            "networks",
            named({"type": "object"}),
            "Settings of the networks that measure, by name; docs/metrics.md lists them.",
        ),
        Key("questions", named(QUESTION.schema()), "What a vision model is asked about the images, by name."),
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
        Key(
            "labels",
            named(TEXT),
            "What the pictures of a folder show, for `cas`: its name with a CSV file of the columns file, "
            "label and perhaps group (patient). Images show the label that their prompt is tagged with.",
        ),
        Key(
            "axes",
            named({"type": "object", "minProperties": 1, "additionalProperties": {"oneOf": [TEXT, NUMBER]}}),
            "What the LoRAs differ in, by patterns of their names or paths, the first that fits: "
            '`{caption: {"*-gpt4o*": gpt4o, "*": keyword}}`. An axis of curves and tables; decides nothing.',
        ),
    ),
)
