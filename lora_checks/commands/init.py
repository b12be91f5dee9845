"""``init``: write a first policy for your own LoRA."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lora_checks.core.records import Lora, Policy
    from lora_checks.policy.starter.write import Plan

HELP = "write a first policy: asks what the LoRA is of, on which base, and where the pictures are"
REFERENCES, TRAIN = "references", "train"


def add(parser: argparse.ArgumentParser) -> None:
    from lora_checks.policy.starter.bases import BASES
    from lora_checks.policy.starter.rows import KINDS

    bases = ", ".join(BASES)
    add = parser.add_argument
    add("directory", nargs="?", type=Path, default=Path("gate"), help="the policy's folder (default: gate)")
    add("--kind", choices=list(KINDS), help="what the LoRA is of")
    add("--lora", type=Path, metavar="FILE", help="a LoRA; its base and trigger are read from it")
    add("--base", metavar="NAME", help=f"{bases}; or a hub id, pipeline folder or .safetensors checkpoint")
    add("--trigger", metavar="TEXT", help="the words that the LoRA was trained on, such as 'sks dog'")
    add("--class-words", metavar="TEXT", help="what it is in words that everybody knows, such as 'dog'")
    add("--references", type=Path, metavar="DIR", help="pictures that were NOT trained on")
    add("--train", type=Path, metavar="DIR", help="pictures that the LoRA was trained on")
    add(
        "--split", type=Path, metavar="DIR", help="before training: split these pictures between both folders"
    )
    add("--prompts", type=Path, metavar="FILE", help="your own prompts: .txt, .json or .csv")
    add("--networks", type=Path, metavar="DIR", help="a policy whose `networks:` replace the usual ones")
    add("--yes", action="store_true", help="ask nothing; a missing value without a default is an error")


def run(options: argparse.Namespace) -> int:
    """Write the policy, read it as a run does, and print what to do next."""
    from lora_checks.core.errors import ConfigError
    from lora_checks.policy.reading import load_policy
    from lora_checks.policy.starter.write import write

    folder: Path = options.directory
    for name in ("thresholds.yaml", "prompts.yaml"):
        if (folder / name).exists():
            raise ConfigError(f"{folder / name} already exists; name another folder, or remove it")
    lora = _lora(options.lora)
    answers = _answers(options, lora)
    _ask_for_pictures(options)
    plan = _plan(options, answers, folder)
    write(plan, folder)
    policy = load_policy(folder)  # the reader reports whatever is wrong with an answer
    _report(plan, folder, policy, options.lora)
    return 0


def _lora(path: Path | None) -> Lora | None:
    if path is None:
        return None
    from lora_checks.lora.file import inspect

    return inspect(path, path.stem)


# --- questions ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answers:
    kind: str
    base: str
    trigger: str
    class_words: str


def _answers(options: argparse.Namespace, lora: Lora | None) -> Answers:
    """Return the answers from flags, LoRA and user. Raises `ConfigError` for a missing answer."""
    from lora_checks.core.errors import ConfigError
    from lora_checks.policy.starter.rows import KINDS

    known = _known(lora)
    values: dict[str, str] = {}
    missing = []
    for name, question in _QUESTIONS.items():
        value = getattr(options, name) or known.get(name, "")
        if not value and _interactive(options):
            value = _ask(question(values))
            while name == "kind" and value and value not in KINDS:
                value = _ask(f"'{value}' is none of {', '.join(KINDS)}")
        if not value:
            missing.append(f"--{name.replace('_', '-')}")
        values[name] = value
    if missing:
        raise ConfigError(f"init: say {', '.join(missing)}; `lora-checks init --help` explains them")
    if values["kind"] not in KINDS:
        raise ConfigError(f"--kind: '{values['kind']}' is not one of {', '.join(KINDS)}")
    return Answers(**values)


def _known(lora: Lora | None) -> dict[str, str]:
    """Return what the file says about itself."""
    if lora is None:
        return {}
    from lora_checks.policy.starter.bases import of_family

    base = of_family(lora.families[0]) if len(lora.families) == 1 else None
    return {"base": base or "", "trigger": lora.facts.get("trigger", "")}


def _kinds(_: Mapping[str, str]) -> str:
    from lora_checks.policy.starter.rows import KINDS

    return "What is the LoRA of? " + ", ".join(f"{name} ({kind.title})" for name, kind in KINDS.items())


def _bases(_: Mapping[str, str]) -> str:
    from lora_checks.policy.starter.bases import BASES

    return f"Which base? {', '.join(BASES)}; or a hub id or pipeline folder"


def _class_words(values: Mapping[str, str]) -> str:
    from lora_checks.policy.starter.rows import KINDS

    kind = KINDS.get(values.get("kind", ""))
    return f"Class words? {kind.class_help}" if kind else "Class words?"


_QUESTIONS: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "kind": _kinds,
    "base": _bases,
    "trigger": lambda _: "Trigger words? The words in every caption, such as: sks dog",
    "class_words": _class_words,
}


def _interactive(options: argparse.Namespace) -> bool:
    return not options.yes and sys.stdin.isatty()


def _ask(question: str) -> str:
    try:
        return input(f"{question}\n> ").strip()
    except EOFError:
        return ""


def _ask_for_pictures(options: argparse.Namespace) -> None:
    """Ask for a folder of pictures and what became of them, unless an option says it."""
    from lora_checks.core.errors import ConfigError

    if not _interactive(options) or options.references or options.train or options.split:
        return
    folder = _ask("Where are pictures of it? A folder; Enter if there are none")
    if not folder:
        return
    use = _ask(
        "Was the LoRA trained on them? no (they are references), yes (rows look for copies of them), or "
        "split (not trained yet: hold a third out)"
    )
    chosen = {"no": "references", "yes": "train", "split": "split"}.get(use.lower())
    if chosen is None:
        raise ConfigError(f"'{use}' is not one of no, yes, split; or name the folder with --references")
    setattr(options, chosen, Path(folder).expanduser())


# --- the plan ----------------------------------------------------------------------------------------


def _plan(options: argparse.Namespace, answers: Answers, folder: Path) -> Plan:
    from lora_checks.policy.starter.write import Plan

    model, revision, sampler = _base(answers.base, folder)
    if options.networks:
        sampler = _tried(options.networks, answers.base) or sampler
    return Plan(
        kind=answers.kind,
        model=model,
        revision=revision,
        sampler=sampler,
        trigger=answers.trigger,
        class_words=answers.class_words,
        texts=_texts(options, answers),
        networks=_networks(options.networks) if options.networks else {},
        folders=_folders(options, folder),  # last: it may copy pictures
    )


def _base(name: str, folder: Path) -> tuple[str, str | None, Mapping[str, Any]]:
    """Return model, revision and sampler of a known base, a hub id or a path."""
    from lora_checks.policy.starter.bases import BASES, of_pipeline
    from lora_checks.policy.starter.write import relative

    known = BASES.get(name) or of_pipeline(_pipeline_class(Path(name)))
    size = _native_size(Path(name)) or known.size
    sampler = {"steps": known.steps, "guidance": known.guidance, "width": size, "height": size, **known.more}
    if name in BASES:
        return known.model, "main", sampler
    return (relative(Path(name), folder) if Path(name).exists() else name), None, sampler


def _tried(other: Path, base: str) -> Mapping[str, Any]:
    """Return the sampler of another policy of the same base, which suits it; {} of another base."""
    from lora_checks.policy.reading import load_policy

    prompts = load_policy(other).prompts
    if not Path(base).exists() or Path(prompts.base.model).resolve() != Path(base).resolve():
        return {}
    sampler = prompts.sampler
    values = {key: getattr(sampler, key) for key in ("steps", "guidance", "width", "height", "scheduler")}
    values["negative"] = sampler.negative or None
    return {key: value for key, value in values.items() if value is not None}


def _pipeline_class(path: Path) -> str:
    for index in (path / "model_index.json", path / "modular_model_index.json"):
        if index.is_file():
            return str(json.loads(index.read_text(encoding="utf-8")).get("_class_name", ""))
    return ""


def _native_size(path: Path) -> int | None:
    """Return the size in pixels that a UNet's pipeline folder was trained at; None if it does not say."""
    try:
        unet = json.loads((path / "unet" / "config.json").read_text(encoding="utf-8"))
        vae = json.loads((path / "vae" / "config.json").read_text(encoding="utf-8"))
        return int(unet["sample_size"] * 2 ** (len(vae["block_out_channels"]) - 1))
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _texts(options: argparse.Namespace, answers: Answers) -> list[str]:
    from lora_checks.core.errors import ConfigError
    from lora_checks.policy.starter import prompts

    if options.prompts:
        return prompts.read(options.prompts, answers.trigger)
    texts = prompts.texts_of(answers.kind, answers.trigger)
    if not texts:
        raise ConfigError(
            f"--kind {answers.kind}: only you know its prompts; name a file with 32 or more with --prompts"
        )
    return texts


def _folders(options: argparse.Namespace, folder: Path) -> dict[str, tuple[Path, int]]:
    """Return the folders of pictures, relative to the policy if they are in it, and their counts."""
    from lora_checks.core.errors import ConfigError
    from lora_checks.images.decoding import list_images
    from lora_checks.images.parting import part

    if options.split:
        if options.references or options.train:
            raise ConfigError("--split makes both folders; give either it or --references and --train")
        held_out, trained = part(options.split, folder / REFERENCES, folder / TRAIN)
        return {
            REFERENCES: (folder / REFERENCES, held_out),
            TRAIN: (folder / TRAIN, trained),
        }
    paths = {REFERENCES: options.references, TRAIN: options.train}
    return {name: (path, len(list_images(path))) for name, path in paths.items() if path}


def _networks(other: Path) -> dict[str, str]:
    """Return the `networks:` of another policy, with absolute paths, as YAML by slot."""
    from lora_checks.policy.reading import load_policy

    networks = load_policy(other).networks
    return {slot: json.dumps(settings, ensure_ascii=False) for slot, settings in networks.items()}


# --- the summary -------------------------------------------------------------------------------------


def _report(plan: Plan, folder: Path, policy: Policy, lora: Path | None) -> None:
    from lora_checks.core.words import count
    from lora_checks.policy.starter.bases import BASES
    from lora_checks.policy.starter.write import chosen

    rows, left_out = chosen(plan)
    prompts = count(len(policy.prompts.prompts), "prompt")
    print(f"{folder}: {count(len(rows), 'row')}, {prompts}, base {plan.model}")
    for row in rows:
        print(f"  {row.name:18} {row.why}")
    for row, reason in left_out:
        print(f"  {row.name:18} left out: {reason}")
    for sentence in _out_of_reach(policy):
        print(f"  too few prompts: {sentence}")
    if any(base.model == plan.model and base.gated for base in BASES.values()):
        print(f"accept the licence of https://huggingface.co/{plan.model}, then run `hf auth login`")
    print("The limits are rules of thumb: calibrate them once you have a good and a bad LoRA.")
    given = f" --lora {shlex.quote(str(lora))}" if lora else ""
    print(f"next: lora-checks check --policy {shlex.quote(str(folder))}{given}")


def _out_of_reach(policy: Policy) -> Iterator[str]:
    """Say of each row that so few prompts cannot pass how many it takes."""
    from lora_checks import metrics
    from lora_checks.core.errors import ConfigError
    from lora_checks.judge import reach

    for row in policy.thresholds:
        try:
            reach.refuse(row, metrics.of_row(row), policy.prompts)
        except ConfigError as error:
            yield str(error)
