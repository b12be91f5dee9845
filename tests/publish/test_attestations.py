"""Attestations kept in tests/data: a few release, each other is refused for its own reason."""

from __future__ import annotations

import json
import re
from pathlib import Path

import attestations
import pytest
from attestations import FOLDER, POLICY, PUBLIC, SUBJECT

from lora_checks.__main__ import main

FILES = sorted((path for path in FOLDER.glob("*.json") if path.name != "expected.json"), key=lambda p: p.stem)
EXPECTED: dict[str, list[str]] = json.loads((FOLDER / "expected.json").read_text())


def verify(path: Path, *more: object) -> list[str]:
    arguments = [SUBJECT, "--policy", POLICY, "--attestation", path, "--key", PUBLIC, *more]
    return ["verify", *map(str, arguments)]


def sentences(out: str) -> list[str]:
    """Without what changes with the policy's digest or the checkout's place."""
    lines = [line.removeprefix("- ") for line in out.splitlines() if line.startswith("- ")]
    placed = [line.replace(str(POLICY), "POLICY").replace(str(FOLDER), "FOLDER") for line in lines]
    return [re.sub(r"\b[0-9a-f]{12}\b", "#", line) for line in placed]


RELEASED = ["first-release", "good", "other-ranking"]  # other weights of the ranking decide nothing


def test_every_file_has_its_sentences_and_few_have_none() -> None:
    assert sorted(EXPECTED) == [path.stem for path in FILES]
    assert sorted(name for name, reasons in EXPECTED.items() if not reasons) == RELEASED
    assert len(FILES) >= 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_is_refused_for_its_own_reason(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(verify(path))
    out = capsys.readouterr().out
    assert sentences(out) == EXPECTED[path.stem]
    assert (status, out.split(":")[0]) == ((0, "RELEASED") if path.stem in RELEASED else (1, "NOT RELEASED"))


def test_the_files_are_what_the_script_makes() -> None:
    """Else the policy's digest is taken in another way: look at the difference, then run the script."""
    made = attestations.fixtures()
    assert sorted(made) == [path.stem for path in FILES]
    differing = [path.stem for path in FILES if path.read_bytes() != made[path.stem]]
    assert differing == [], "run: python tests/attestations.py"


def test_an_old_attestation_is_refused_only_where_age_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = FOLDER / "good.json"
    assert main(verify(good)) == 0
    assert main(verify(good, "--max-age-days", "36500")) == 0
    capsys.readouterr()
    assert main(verify(good, "--max-age-days", "0.5")) == 1
    (sentence,) = sentences(capsys.readouterr().out)
    assert re.fullmatch(r"it is \d+ days old, more than 0.5: gate the LoRA again", sentence)


def test_a_release_says_with_what_it_was_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(verify(FOLDER / "good.json")) == 0
    assert ", compared with last, signed by key " in capsys.readouterr().out
    assert main(verify(FOLDER / "first-release.json")) == 0
    assert (
        ", not compared with an earlier release (--lora-baseline none), signed by" in capsys.readouterr().out
    )
    assert main(verify(FOLDER / "first-release.json", "--require", "regression-sharp")) == 1
    assert sentences(capsys.readouterr().out) == ["it lacks 1 row that must pass: regression-sharp"]


def test_a_row_more_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(verify(FOLDER / "good.json", "--require", "no-worse")) == 1
    assert sentences(capsys.readouterr().out) == ["it lacks 1 row that must pass: no-worse"]


@pytest.mark.parametrize(
    ("base", "released"),
    [
        (attestations.BASE, True),
        ("example/base", False),  # an identity names the commit
        ("other/base@0123456789abcdef0123456789abcdef01234567", False),
    ],
)
def test_the_base_can_be_named(base: str, released: bool) -> None:
    assert main(verify(FOLDER / "good.json", "--base", base)) == (0 if released else 1)


def test_any_of_several_trusted_keys_will_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attest", "--new-key", str(tmp_path / "next.pem")]) == 0
    both = ["--key", str(tmp_path / "next.pem.pub")]
    assert main([*verify(FOLDER / "good.json"), *both]) == 0
    capsys.readouterr()
    alone = verify(FOLDER / "good.json")
    alone[alone.index("--key") + 1] = both[1]
    assert main(alone) == 1
    assert "signed by an unknown key" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--attestation", "x.json"], "needs a trusted signer"),
        (["--key", str(PUBLIC)], "either --attestation FILE or --report DIR"),
        (["--attestation", "x.json", "--report", "x", "--key", str(PUBLIC)], "either --attestation FILE"),
        (["--report", "x", "--key", str(PUBLIC)], "is not signed"),
        (["--attestation", "x.json", "--key", str(attestations.KEY)], "it is the private key"),
        (["--attestation", "x.json", "--key", "none.pub"], "could not be read"),
        (["--attestation", "x.json", "--key", str(SUBJECT)], "not a public PEM key"),
    ],
)
def test_a_wrong_command_is_no_verdict(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(SUBJECT), "--policy", str(POLICY), *arguments]) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"--policy": ""}, "argument --policy: is empty (an unset variable?)"),
        ({"--key": " "}, "argument --key: is empty (an unset variable?)"),
        ({"--attestation": ""}, "argument --attestation: is empty (an unset variable?)"),
        ({"--max-age-days": "0"}, "argument --max-age-days: 0 is not a number of days above 0"),
        ({"--max-age-days": "nan"}, "argument --max-age-days: nan is not a number of days above 0"),
    ],
)
def test_an_unset_variable_is_no_argument(
    changed: dict[str, str], text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(POLICY)  # which `--policy ""` would find
    arguments = dict(zip(verify(FOLDER / "good.json")[2::2], verify(FOLDER / "good.json")[3::2], strict=True))
    options = [word for pair in (arguments | changed).items() for word in pair]
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(SUBJECT), *options])
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_what_is_not_there_releases_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(verify(tmp_path / "none.json")) == 1
    assert "could not be read" in capsys.readouterr().out
    gone = ["verify", str(tmp_path / "gone.safetensors"), "--policy", str(POLICY), "--key", str(PUBLIC)]
    assert main([*gone, "--attestation", str(FOLDER / "good.json")]) == 1
    out = capsys.readouterr().out
    assert "gone.safetensors" in out
    assert "No such file" in out


def approved(**notes: str) -> bytes:
    named = {"by": "Ann", "at": "2026-01-02T03:04:05+00:00", "outcome": "PASS", **notes}
    return attestations.more("approval/1", annotations=named)


def test_an_approval_is_shown_and_one_despite_a_verdict_releases_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signed = tmp_path / "signed.json"
    command = verify(signed)
    signed.write_bytes(approved(note="looked at it"))
    assert main(verify(signed, "--approved")) == 0
    assert "approved by Ann on 2026-01-02 (looked at it)" in capsys.readouterr().out
    signed.write_bytes(approved(despite="demo on Friday", outcome="FAIL"))
    assert main(command) == 1
    assert "Ann approved it DESPITE FAIL (demo on Friday)" in capsys.readouterr().out
    signed.write_bytes((FOLDER / "good.json").read_bytes())
    assert main(verify(signed, "--approved")) == 1
    assert "nobody approved it" in capsys.readouterr().out
