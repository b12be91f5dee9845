"""Every reader of a report names the part that is missing or has the wrong type, in one sentence."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from whole_world import whole_report
from world import World

from lora_checks.__main__ import main
from lora_checks.core.errors import ConfigError, ReportError
from lora_checks.record import schema
from lora_checks.record.document import parse, read
from lora_checks.record.regression.approved import read_approved
from lora_checks.report.html.server import Live, _own_bytes

SCHEMA = json.loads(resources.files("lora_checks.report").joinpath("schema.json").read_text())
DELETED = object()
WRONG = (DELETED, None, True, -1, 10**400, "", "x\u202e\ud800", [], {}, [None], {"a": None}, 0.5)
PAGES = ("report", "log")
SAMPLE = 100  # damages that the schema lets through, held against jsonschema, too
Place = tuple[str | int, ...]


@pytest.fixture(scope="module")
def real(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report that has every part the schema knows."""
    return whole_report(tmp_path_factory.mktemp("real"), world.good, world.policy)


def places(value: Any, at: Place = (), most: int = 2) -> Iterator[Place]:
    """Yield the place of every key, and of the first ``most`` items of every list."""
    items: Any = value.items() if isinstance(value, dict) else ()
    for key, item in enumerate(value[:most]) if isinstance(value, list) else items:
        yield (*at, key)
        yield from places(item, (*at, key), most)


def kinds(document: Any) -> list[Place]:
    """Return the first place of each kind: of many rows alike only one."""
    first: dict[tuple[str, ...], Place] = {}
    for at in places(document, most=1000):
        first.setdefault(pattern(at), at)
    return list(first.values())


def trimmed(value: Any, key: str = "") -> Any:
    """Cut every list but the rows, which differ in kind, to its first two items."""
    if isinstance(value, dict):
        return {name: trimmed(item, name) for name, item in value.items()}
    if isinstance(value, list):
        most = len(value) if key in ("rows", "prompts", "worsened", "") else 2
        return [trimmed(item) for item in value[:most]]
    return value


def pattern(at: Place) -> tuple[str, ...]:
    return tuple("*" if isinstance(key, int) else key for key in at)


@contextmanager
def damaged(document: Any, at: Place, wrong: object) -> Iterator[Any]:
    """Yield the document with one part replaced; put the part back afterwards."""
    inside = document
    for key in at[:-1]:
        inside = inside[key]
    before = list(inside.items()) if isinstance(inside, dict) else list(inside)
    if wrong is DELETED:
        del inside[at[-1]]
    else:
        inside[at[-1]] = wrong
    try:
        yield document
    finally:
        inside.clear()
        inside.update(before) if isinstance(inside, dict) else inside.extend(before)


def parts_of(schema: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the place of every property that the schema declares, as `pattern` writes it."""
    if "$ref" in schema:
        yield from parts_of(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], at)
    for alternative in [*schema.get("oneOf", ()), *schema.get("anyOf", ())]:
        yield from parts_of(alternative, at)
    for key, inner in schema.get("properties", {}).items():
        yield (*at, key)
        yield from parts_of(inner, (*at, key))
    if isinstance(schema.get("items"), dict):
        yield from parts_of(schema["items"], (*at, "*"))


def test_the_report_has_every_part_that_the_schema_declares(real: Path) -> None:
    """Otherwise the damages below would leave a part of the schema out."""
    document = json.loads((real / "report.json").read_text())
    assert [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)] == []
    there = {pattern(at) for at in places(document, most=1000)}
    # A run on pictures made elsewhere has no base; the base's own sampler is declared as `sampler` is; a
    # cluster, a store at a URL, compiling and a quantised base are optional, and so are LoRAs that made room.
    absent = ("elsewhere", "base_sampler", "cluster", "store_url", "compiled")
    others = {part for part in parts_of(SCHEMA) if part[:2] in {("run", name) for name in absent}}
    within = (("run", "base", "quantization"), ("run", "made", "resident_loras"))
    others |= {part for part in parts_of(SCHEMA) if part[:3] in within}
    assert set(parts_of(SCHEMA)) - there - others == set()


def test_every_part_that_is_missing_or_mistyped_is_named(real: Path) -> None:
    """Agree with jsonschema, and point to the part or to what holds it."""
    document = trimmed(json.loads((real / "report.json").read_text()))
    assert schema.problem(document) == ""
    refused, accepted, draw = 0, [], random.Random(0)
    for at in kinds(document):
        pointer = "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in at)
        for wrong in draw.sample(WRONG, 5):
            with damaged(document, at, wrong):
                problem = schema.problem(document)
            if not problem:
                accepted.append((at, wrong))
                continue
            refused += 1
            assert "\n" not in problem
            assert problem.split(" ")[0].startswith(pointer.rpartition("/")[0]), (at, wrong, problem)
    assert refused > 1000
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for at, wrong in draw.sample(accepted, SAMPLE):
        with damaged(document, at, wrong):
            assert validator.is_valid(document), (at, wrong)
    assert schema.problem(document) == ""


def test_what_is_no_report_is_a_sentence() -> None:
    for content in (
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b'{"schema": NaN}',
        b'{"a": 1, "a": 2}',
        b"[" * 10**5,
    ):
        with pytest.raises(ReportError):
            parse(content, "report.json")
    for number in (1, 3, "2", None, True):
        with pytest.raises(ReportError, match=r"report\.json"):
            parse(json.dumps({"schema": number}).encode(), "report.json")


@pytest.fixture
def commands(real: Path, tmp_path: Path, world: World) -> dict[str, list[str]]:
    policy, folder = str(world.policy), str(tmp_path / "w")
    main(["attest", "--new-key", str(tmp_path / "key")])
    return {
        "report": ["report", folder, "--out", str(tmp_path / "out")],
        "card": ["card", folder, "--lora", "good", "--out", str(tmp_path / "card.md"), "--pictures", "1"],
        "compare": ["compare", f"{real}#good", f"{folder}#good"],
        "the first of compare": ["compare", f"{folder}#good", f"{real}#good"],
        "attest": ["attest", folder, "--lora", "good", "--key", str(tmp_path / "key")],
        "verify": ["verify", str(world.good), "--policy", policy, "--report", folder],
        "log": ["log", folder, "--to", f"tensorboard:{tmp_path / 'runs'}"],
    }


def test_whatever_reads_a_damaged_report_ends_in_a_sentence(
    real: Path, commands: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damage a part of every kind; what the schema refuses is refused by whichever command reads it."""
    document = json.loads((real / "report.json").read_text())
    del document["sha256"]  # or every reader would stop there
    folder = tmp_path / "w"
    folder.mkdir()
    draw = random.Random(1)
    for i, at in enumerate(kinds(document)):
        wrong = WRONG[i % len(WRONG)]
        with damaged(document, at, wrong):
            (folder / "report.json").write_text(json.dumps(document))
            refused = schema.problem(document)
        several = draw.sample(sorted(commands), 1 if refused else 2)
        for name in several:
            if not refused and name in PAGES and i % 4:
                continue  # these write pages and pictures, so they take part in some
            capsys.readouterr()
            code = main(commands[name])
            printed = "".join(capsys.readouterr())
            assert code in (0, 1, 2), (name, at, wrong)
            assert "Traceback" not in printed, (name, at, wrong)
            if refused and at != ("schema",):  # another version is another sentence
                assert code != 0, (name, at, wrong)
                assert refused.split(" ")[0] in printed, (name, at, wrong, printed)
        if refused and i % 16 == 0:
            assert "report.json" in Live(folder).page()


def test_whatever_reads_the_whole_report_reads_it(
    real: Path, commands: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "w").symlink_to(real)
    for name, arguments in commands.items():
        code = main(arguments)
        printed = "".join(capsys.readouterr())
        assert code in (0, 1), (name, printed)
        assert "was the file edited" not in printed, (name, printed)


def test_a_damaged_line_of_the_journal_is_named(real: Path, tmp_path: Path) -> None:
    lines = (real / "verdicts.jsonl").read_text().splitlines(keepends=True)
    verdict = next(i for i, line in enumerate(lines) if '"verdict"' in line)
    for damage in (
        "{\n",
        "[]\n",
        '{"verdict": "{}"}\n',
        '{"verdict": 3}\n',
        '{"run": {}}\n',
        "\0\n",
        '{"lora": 1}\n',
    ):
        text = "".join([*lines[:verdict], damage, *lines[verdict + 1 :]])
        (tmp_path / "verdicts.jsonl").write_text(text)
        with pytest.raises(ReportError, match=rf"verdicts\.jsonl:{verdict + 1}: is damaged"):
            read(tmp_path)


def test_the_baseline_of_a_run_is_read_through_the_schema(real: Path, tmp_path: Path) -> None:
    document = json.loads((real / "report.json").read_text())
    del document["loras"][0]["rows"][0]["measurement"]
    (tmp_path / "approved.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=r"approved\.json: /loras/0/rows/0/measurement is missing"):
        read_approved("approved.json#good", tmp_path)


@pytest.mark.parametrize("what", ["report.json", "verdicts.jsonl", "images"])
def test_serve_follows_no_link_out_of_its_folder(real: Path, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    for path in real.iterdir():
        if path.name in ("report.json", "verdicts.jsonl") and path.name != what:
            (folder / path.name).write_bytes(path.read_bytes())
    (real / "images").mkdir(exist_ok=True)
    (folder / what).symlink_to(real / what)
    if what == "images":
        inside = real / "images" / "inside.png"
        inside.write_bytes((real.parent / "made" / "good" / "0.png").read_bytes())
        assert _own_bytes(inside) == inside.read_bytes()
        assert _own_bytes(folder / "images" / inside.name) is None
        link = tmp_path / "link.png"
        link.symlink_to(inside)
        assert _own_bytes(link) is None
    else:
        assert "is a link; only files of the folder itself are shown" in Live(folder).page()
