"""Type a LoRA of report.json: its pictures, and its rows with what was measured and judged."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from lora_checks.core.records import Better, Pairing, Rule, Stat
from lora_checks.core.records.questions import Control, Kind, Reference
from lora_checks.judge.verdict import RunOutcome

RowOutcome = Literal["PASS", "FAIL", "INCONCLUSIVE", "ERROR"]
Direction = Literal["higher", "lower", ""]
PromptChange = tuple[str, float, float, float]  # prompt, before, now, difference


class File(TypedDict):
    sha256: str
    file: str


class NamedFile(File):
    name: str


class Picture(NamedFile):
    prompt: str
    seed: int | None
    recipe: str
    base: File | None


class Calibration(TypedDict):
    identity: str
    good: list[str]
    bad: list[str]
    margin: float | None
    n: int | None


class Question(TypedDict):
    """What a vision model was asked; ``text`` has {prompt} and {class_words} still in it."""

    name: str
    kind: Kind
    text: str
    options: list[str]
    good: list[str]
    reference: Reference
    by: str
    most: int | None
    controls: list[Control]
    tagged: str


class Threshold(TypedDict):
    name: str
    metric: str
    why: str
    min: float | None
    max: float | None
    stat: Stat
    pairing: Pairing | Literal[""]
    against: str
    network: str
    texts: list[str]
    rule: Rule
    required: bool
    max_missing: float
    bands: list[tuple[str, float]]
    source: str
    at: float | None
    gain: bool
    on: str
    calibrated_on: Calibration | None
    question: NotRequired[Question | None]


class Measurement(TypedDict):
    metric: str
    stat: Stat
    value: float | None
    n: int
    missing: int
    better: Better
    network: str
    label: str
    against: str
    low: float | None
    high: float | None
    confidence: float
    prompts: int
    per_image: list[tuple[str, float | None]]
    by_prompt: list[tuple[str, float]]
    worst: tuple[str, float] | None
    nearest: list[tuple[str, int]]
    matches: list[tuple[str, str]]
    extremes: tuple[float, float] | None
    at: float | None
    gain: bool
    on: str
    sides: Literal[1, 2]
    floor: float | None
    waiting: str
    themselves: NotRequired[float | None]
    reseeded: NotRequired[list[float]]
    reseeded_by: NotRequired[Literal["seeds", "halves", ""]]
    noise: NotRequired[float | None]
    note: NotRequired[str]
    points: NotRequired[tuple[float, float] | None]


class Proof(TypedDict):
    dead: NotRequired[list[str]]
    device: NotRequired[str]
    dtype: NotRequired[str]
    effect: dict[str, float]
    layers: int
    tensors: int
    unused: NotRequired[list[str]]
    worst_layer_error: NotRequired[float]


class Details(TypedDict, total=False):
    """What parts of the gate add to a row; a judged row has numbers of its own as well."""

    before: float | None
    value: float | None
    worsened: list[PromptChange]
    proof: Proof
    pictures: dict[str, File]


class Need(TypedDict):
    """The true values at which a LoRA passes the row in this share of runs."""

    chance: float
    least: float | None
    most: float | None


class Row(TypedDict):
    """A verdict, and what follows from it."""

    lora: str
    lora_sha256: str
    check: str
    outcome: RowOutcome
    reason: str
    required: bool
    threshold: Threshold | None
    measurement: Measurement | None
    images: str
    details: Details
    change_of: NotRequired[str]
    band: str
    direction: Direction
    margin: float | None
    power: NotRequired[list[Need] | None]


class Passes(TypedDict):
    chance: float
    passes: float


class Power(TypedDict):
    as_found: float
    at: list[Passes]


class Begun(TypedDict):
    """A LoRA before its file is read."""

    name: str
    path: str
    sha256: str
    scale: NotRequired[float]
    keys: NotRequired[dict[str, str]]  # what the names of its pictures or the policy's axes say of it
    facts: NotRequired[dict[str, str]]


class Candidate(Begun):
    """A LoRA that was read and measured, before it is judged."""

    ranks: NotRequired[list[int]]
    pictures: NotRequired[list[Picture]]


class Lora(Candidate):
    step: int | None
    outcome: RunOutcome
    images: list[str]
    missing: list[str]
    rows: list[Row]
    power: NotRequired[Power | None]
