"""Type what report.json records about a run as a whole."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from lora_checks.record.shapes.rows import NamedFile


class Folder(TypedDict):
    digest: str
    images: list[NamedFile]


class Prompt(TypedDict):
    id: str
    text: str
    tags: list[str]


class Sampler(TypedDict):
    steps: int
    guidance: float | None
    width: int
    height: int
    negative: str
    scheduler: NotRequired[str | None]
    scheduler_settings: NotRequired[dict[str, Any]]
    max_sequence_length: NotRequired[int | None]
    true_cfg_scale: NotRequired[float | None]


class Base(TypedDict):
    model: str
    digest: str
    label: str
    quantization: NotRequired[dict[str, str]]  # by network: "bitsandbytes nf4"


class Policy(TypedDict):
    directory: str
    digest: str
    parts: dict[str, str]


class Companion(TypedDict):
    name: str
    path: str
    scale: float
    sha256: str


class Worked(TypedDict):
    """A node of a cluster."""

    name: str
    hardware: str
    workers: int


class Cluster(TypedDict):
    """Where the images were made, with --lora-cluster."""

    address: str
    nodes: list[Worked]


class Made(TypedDict, total=False):
    images: int
    batch_sizes: list[int]
    vae_dtypes: list[str]
    resident_loras: int  # at most on the pipeline together, where memory ran out with more


class Judge(TypedDict):
    """What a vision model was asked."""

    label: str
    expected_questions: int  # at most, before the run
    expected_tokens: int
    replies: NotRequired[int]
    calls: NotRequired[int]
    tokens: NotRequired[int]
    money: NotRequired[float]


class Elsewhere(TypedDict):
    images: NotRequired[str]
    images_from: NotRequired[str]
    baseline_images: NotRequired[str]
    caveat: str


Code = TypedDict("Code", {"file": str, "sha256": str, "for": list[str]})


Weight = TypedDict("Weight", {"check": str, "weight": float, "from": float, "to": float})


class Run(TypedDict):
    base: NotRequired[Base]
    elsewhere: NotRequired[Elsewhere]
    dtype: NotRequired[str]
    batch_size: NotRequired[int]
    offload: NotRequired[str]
    save_memory: NotRequired[list[str]]
    compiled: NotRequired[str]  # what is, or "no: " and why; absent if it was not asked for
    policy: Policy
    prompts: list[Prompt]
    seeds: list[int]
    trigger: str
    class_words: str
    sampler: NotRequired[Sampler]  # unknown if only the texts of pictures made elsewhere are known
    base_sampler: NotRequired[Sampler]
    until_decided: NotRequired[int | None]
    device: str
    hardware: str
    cluster: NotRequired[Cluster]
    warnings: NotRequired[list[str]]
    versions: list[str]
    networks: dict[str, dict[str, Any]]
    folders: dict[str, Folder]
    store: str
    store_url: NotRequired[str]
    report: str
    companions: list[Companion]
    started: str
    finished: NotRequired[str]
    seconds: NotRequired[float]
    made: NotRequired[Made]
    judges: NotRequired[dict[str, Judge]]
    command: str
    code: NotRequired[list[Code]]
    other_failures: NotRequired[list[str]]
    ranking: NotRequired[list[Weight]]
    axis: NotRequired[str]  # of --lora-axis
