"""A part of a real report that is missing or mistyped is a sentence that names it, whoever reads it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from world import Gate, Run, World, row

from lora_checks.__main__ import main
from lora_checks.core.errors import ReportError
from lora_checks.record import schema
from lora_checks.record.document import parse, read
from lora_checks.report.html.server import Live

SCHEMA = json.loads(resources.files("lora_checks.report").joinpath("schema.json").read_text())
DELETED = object()
WRONG = (DELETED, None, True, -1, 10**400, "", "x\u202e\ud800", [], {}, [None], {"a": None}, 0.5)
Place = tuple[str | int, ...]


@pytest.fixture(scope="module")
def real(world: World, first_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with a ranking, a comparison with an approved release, shares, bounds and gains."""
    folder = tmp_path_factory.mktemp("real")
    assert first_run.code == 1
    gate = Gate(folder, world)
    base = gate("--lora", world.good, "--lora-report", folder / "approved")
    assert base.code == 0, base.out + base.err
    rows = (
        row("identity", "arcface", "max_missing: 0.5, min: 0.45")
        + row("bounded", "arcface", "max_missing: 0.5, min: 0.3, rule: bound, bands: {fine: 0.35}")
        + row("share", "arcface", "max_missing: 0.5, stat: {share_at_least: 0.3}, min: 0.2")
        + "regression: {identity: 0.2}\nranking: {identity: {from: 0.2, to: 0.8}}\n"
    )
    policy = world.write(folder / "policy", rows)
    loras = ("--lora", world.good, "--lora", world.bad)
    run = gate(*loras, "--lora-policy", policy, "--lora-baseline", folder / "approved")
    assert run.code == 1, run.out + run.err
    assert run.report["baseline"]
    assert run.report["ranking"]
    return run.report_folder


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every key, and of every list the first two items."""
    items = (
        value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    )
    for key, item in items:
        yield (*at, key)
        yield from places(item, (*at, key))


def kinds(document: Any) -> list[Place]:
    """One place of each kind: of many rows alike the first."""
    found: dict[tuple[str, ...], Place] = {}
    for at in places(document):
        found.setdefault(tuple("*" if isinstance(key, int) else key for key in at), at)
    return list(found.values())


def damaged(document: Any, at: Place, wrong: object) -> Any:
    made = copy.deepcopy(document)
    inside = made
    for key in at[:-1]:
        inside = inside[key]
    if wrong is DELETED:
        del inside[at[-1]]
    else:
        inside[at[-1]] = wrong
    return made


def test_every_part_that_is_missing_or_mistyped_is_named(real: Path) -> None:
    """As jsonschema finds it, and with a pointer to it or to what holds it."""
    document = json.loads((real / "report.json").read_text())
    assert schema.problem(document) == ""
    whole = jsonschema.Draft202012Validator(SCHEMA)
    refused = 0
    for at in kinds(document):
        for wrong in WRONG:
            made = damaged(document, at, wrong)
            found = schema.problem(made)
            pointer = "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in at)
            if found:
                refused += 1
                assert "\n" not in found
                assert found.split(" ")[0].startswith(pointer.rpartition("/")[0]), (at, wrong, found)
            else:
                assert whole.is_valid(made), (at, wrong)
    assert refused > 1000


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
    policy, folder = str(real.parent / "policy"), str(tmp_path / "w")
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
    """Of every kind of part, one that is wrong; those that the schema lets through are read by all."""
    document = json.loads((real / "report.json").read_text())
    del document["sha256"]  # or every reader would stop there
    folder = tmp_path / "w"
    folder.mkdir()
    for i, at in enumerate(kinds(document)):
        made = damaged(document, at, WRONG[i % len(WRONG)])
        (folder / "report.json").write_text(json.dumps(made))
        refused = schema.problem(made)
        for number, (name, arguments) in enumerate(commands.items()):
            if refused and (i + number) % 3:
                continue  # one sentence for all: they take turns
            if not refused and name in ("report", "log") and i % 8:
                continue  # these write pages and pictures, so they take part in some
            capsys.readouterr()
            code = main(arguments)
            said = capsys.readouterr()
            assert code in (0, 1, 2), (name, at)
            assert "Traceback" not in said.err + said.out, (name, at)
            if refused and at != ("schema",):  # another version is another sentence
                assert code != 0, (name, at)
                assert refused.split(" ")[0] in said.err + said.out, (name, at, said)
        if refused and i % 8 == 0:
            assert "report.json" in Live(folder).page()


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


def test_the_baseline_of_a_run_is_read_through_the_schema(real: Path, gate: Gate, tmp_path: Path) -> None:
    found = json.loads((real.parent / "approved" / "report.json").read_text())
    del found["loras"][0]["rows"][0]["measurement"]
    (tmp_path / "approved.json").write_text(json.dumps(found))
    run = gate(
        "--lora",
        gate.world.good,
        "--lora-policy",
        real.parent / "policy",
        "--lora-baseline",
        tmp_path / "approved.json",
    )
    assert run.code == 4
    assert "approved.json: /loras/0/rows/0/measurement is missing" in run.err.replace("\n", " ")


@pytest.mark.parametrize("what", ["report.json", "verdicts.jsonl", "images"])
def test_serve_follows_no_link_out_of_its_folder(real: Path, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    for path in real.iterdir():
        if path.name in ("report.json", "verdicts.jsonl") and path.name != what:
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / what).symlink_to(real / what)
    if what == "images":
        from lora_checks.report.html.server import _own_bytes

        inside = next((real / "images").iterdir())
        assert _own_bytes(inside) == inside.read_bytes()
        assert _own_bytes(folder / "images" / inside.name) is None
        link = tmp_path / "link.png"
        link.symlink_to(inside)
        assert _own_bytes(link) is None
    else:
        assert "is a link; only what lies in the folder itself is shown" in Live(folder).page()
