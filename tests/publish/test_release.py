"""Gate, sign, verify; then change each thing that was signed in turn: refused, with the right reason."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attestations
import pytest
from world import MINIATURE, Gate, Run, World, run_module, write_policy

from lora_checks.core.errors import ReleaseError
from lora_checks.gate.ledger import APPLIED_CHECK, FILE_CHECK
from lora_checks.publish.release import claim, keyless, keys, statement
from lora_checks.publish.release.reading import claim_in
from lora_checks.publish.release.wanted import wanted
from lora_checks.record import document as documents


def command(folder: Path, *arguments: object) -> tuple[int, str]:
    done = run_module("lora_checks", *arguments, folder=folder)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True)
class Release:
    """Everything a release is made of, in a folder of its own, so that each can be changed."""

    folder: Path

    @property
    def lora(self) -> Path:
        return self.folder / "good.safetensors"

    @property
    def attestation(self) -> Path:
        return self.folder / "good.intoto.json"

    def verify(self, *more: object) -> tuple[int, str]:
        signed = ("--attestation", self.attestation.name, "--key", "team.pem.pub")
        return command(self.folder, "verify", self.lora.name, "--policy", "policy", *signed, *more)

    def attest(self) -> tuple[int, str]:
        return command(self.folder, "attest", "report", "--key", "team.pem", "--out", self.attestation.name)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, world: World, first_run: Run) -> Release:
    """The miniature's good LoRA under a policy that has everything beside it, gated and signed."""
    assert first_run.code == 1, "the store has what this run needs"
    folder = tmp_path_factory.mktemp("release")
    shutil.copy(world.good, folder)
    for name in ("references", "train", "pipeline", "evaluators"):
        shutil.copytree(MINIATURE / name, folder / "policy" / name)
    write_policy(folder / "policy", Path("./pipeline"))
    thresholds = folder / "policy" / "thresholds.yaml"
    thresholds.write_text(thresholds.read_text().replace(f"{MINIATURE}/", "./"))
    where = ("--lora-policy", "policy", "--lora-store", world.store, "--lora-report", "report")
    run = Gate(folder, world).pytest("--lora", "good.safetensors", *where)
    assert run.code == 0, run.out + run.err
    release = Release(folder)
    assert command(folder, "attest", "--new-key", "team.pem")[0] == 0
    code, out = release.attest()
    assert (code, out.split(":")[0]) == (0, "PASSED")
    return release


@pytest.fixture
def release(signed: Release, tmp_path: Path) -> Release:
    return Release(Path(shutil.copytree(signed.folder, tmp_path / "release")))


def test_a_base_with_other_bytes_is_not_attested(release: Release) -> None:
    pipeline, report = release.folder / "policy" / "pipeline", release.folder / "report" / "report.json"
    judged = documents.read_file(report)
    judged["run"]["base"]["model"] = str(pipeline)  # type: ignore[index]
    documents.write(judged, report.parent)
    assert claim_in(report.parent).configuration["base"].sha256
    (pipeline / "unet" / "config.json").write_text("{}")
    with pytest.raises(ReleaseError, match="is not the base that was judged"):
        claim_in(report.parent)


def test_who_approved_it_is_signed_and_shown(release: Release) -> None:
    assert "nobody approved it" in release.verify("--approved")[1]
    assert command(release.folder, "approve", "report", "--by", "Ann", "--note", "seen")[0] == 0
    assert "nobody approved it" in release.verify("--approved")[1]  # signed before
    assert release.attest()[0] == 0
    code, out = release.verify("--approved")
    assert (code, out.split(":")[0]) == (0, "RELEASED")
    assert "approved by Ann" in out
    (release.folder / "report" / "report.json").write_text(
        (release.folder / "report" / "report.json").read_text() + "\n"
    )
    code, out = release.attest()
    assert code == 2
    assert "approves another report" in out


def replace(path: str, old: str, new: str) -> Callable[[Release], None]:
    def change(release: Release) -> None:
        text = (release.folder / path).read_text()
        assert old in text
        (release.folder / path).write_text(text.replace(old, new, 1))

    return change


def flip(path: str) -> Callable[[Release], None]:
    """One bit of the last byte."""

    def change(release: Release) -> None:
        file = release.folder / path
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)

    return change


def add(path: str, source: str) -> Callable[[Release], None]:
    return lambda release: shutil.copy(release.folder / source, release.folder / path) and None


def remove(path: str) -> Callable[[Release], None]:
    return lambda release: (release.folder / path).unlink()


def another_key(release: Release) -> None:
    for name in ("team.pem", "team.pem.pub"):
        (release.folder / name).unlink()
    assert command(release.folder, "attest", "--new-key", "team.pem")[0] == 0


def sign_again(release: Release) -> None:
    another_key(release)
    assert release.attest()[0] == 0
    shutil.copy(attestations.PUBLIC, release.folder / "team.pem.pub")


TAMPERED: dict[str, tuple[Callable[[Release], None], str]] = {
    "the LoRA": (flip("good.safetensors"), "it is about another file"),
    "a limit": (replace("policy/thresholds.yaml", "min: 0.45", "min: 0.2"), "other thresholds than"),
    "a row optional": (replace("policy/thresholds.yaml", "max: 3.0", "max: 3.0, required: false"),
                       "other thresholds than"),
    "a row more": (replace("policy/thresholds.yaml", "checks:",
                           "checks:\n  x: {metric: flat, max: 1.0, why: w}"),
                   "it lacks 1 row that must pass: x"),
    "a prompt": (replace("policy/prompts.yaml", "red shirt", "plum shirt"), "other prompts than"),
    "a seed": (replace("policy/prompts.yaml", "[1]", "[2]"), "other prompts than"),
    "the sampler": (replace("policy/prompts.yaml", "steps: 4", "steps: 5"), "other prompts than"),
    "a network's settings": (replace("policy/thresholds.yaml", "det_size: 64", "det_size: 96"),
                             "other networks than"),
    "a reference changed": (add("policy/references/00.png", "policy/references/01.png"),
                            "other pictures in 'references'"),
    "a reference more": (add("policy/references/99.png", "policy/references/01.png"),
                         "other pictures in 'references'"),
    "a training picture fewer": (remove("policy/train/00.png"), "other pictures in 'train'"),
    "the base's weights": (flip("policy/pipeline/unet/diffusion_pytorch_model.safetensors"), "another base"),
    "the base gone": (remove("policy/pipeline/model_index.json"), "the base cannot be compared here"),
    "the attestation": (replace("good.intoto.json", '"payload": "eyJ', '"payload": "eyK'),
                        "the signature is wrong"),
    "the trusted key": (another_key, "signed by an unknown key"),
    "signed by somebody else": (sign_again, "signed by an unknown key"),
    "the attestation gone": (remove("good.intoto.json"), "could not be read"),
}  # fmt: skip


def test_what_was_gated_and_signed_is_released(signed: Release) -> None:
    code, out = signed.verify("--weights", "--max-age-days", "1")
    assert (code, out.split(":")[0]) == (0, "RELEASED"), out


def test_it_is_released_from_another_place_too(release: Release) -> None:
    """Digests are of content: a checkout elsewhere, on another day, is the same policy."""
    code, out = release.verify("--weights")
    assert code == 0, out


@pytest.mark.parametrize("what", TAMPERED)
def test_whatever_is_changed_afterwards_is_refused_by_name(what: str, release: Release) -> None:
    change, sentence = TAMPERED[what]
    change(release)
    code, out = release.verify()
    assert code == 1
    assert sentence in out


def test_other_weights_of_a_network_are_refused_where_they_are_asked_for(release: Release) -> None:
    flip("policy/evaluators/trunk/trunk.safetensors")(release)
    assert release.verify()[0] == 0
    code, out = release.verify("--weights")
    assert code == 1
    assert "another network measured likeness: trunk_distance/1" in out


def test_rows_that_decide_nothing_need_no_network_where_it_is_released(release: Release) -> None:
    replace("policy/thresholds.yaml", "max: 3.0", "max: 3.0, required: false")(release)
    rows = wanted(release.lora, release.folder / "policy", weights=True)
    optional = {row.name for row in rows.policy.thresholds if not row.required}
    assert rows.networks is not None
    assert optional
    assert rows.networks.keys() == {row.name for row in rows.policy.thresholds} - optional


def test_a_lora_that_failed_is_attested_as_failed_and_never_released(
    gate: Gate, first_run: Run, tmp_path: Path
) -> None:
    bad = gate.world.bad
    command(tmp_path, "attest", "--new-key", "key.pem")
    report = first_run.report_folder
    code, out = command(tmp_path, "attest", report, "--key", "key.pem", "--out", "x.json", "--lora", bad.name)
    assert (code, out.split(":")[0]) == (1, "FAILED")
    signed = ("--attestation", "x.json", "--key", "key.pem.pub")
    code, out = command(tmp_path, "verify", bad, "--policy", gate.world.policy, *signed)
    assert code == 1
    assert "- the result is FAILED, not PASSED: identity did not pass" in out


def test_of_several_loras_one_is_named(first_run: Run, tmp_path: Path) -> None:
    command(tmp_path, "attest", "--new-key", "key.pem")
    code, out = command(tmp_path, "attest", first_run.report_folder, "--key", "key.pem")
    assert code == 2
    assert "the report judges 2 LoRAs; choose one with --lora; it has good, wrong-identity" in out
    code, out = command(
        tmp_path, "attest", first_run.report_folder, "--key", "key.pem", "--lora", "good", "--out", "x"
    )
    assert code == 0, out


# -- a report without a signature: the step of a CI job


def by_report(gate: Gate, lora: Path | None = None, report: Path | None = None) -> tuple[int, str]:
    where = ("--policy", gate.world.policy, "--report", report or gate.folder / "report")
    return command(gate.folder, "verify", lora or gate.world.good, *where)


def test_a_report_that_passed_releases_its_lora_alone(gate: Gate) -> None:
    assert gate("--lora", gate.world.good).code == 0
    code, out = by_report(gate)
    assert (code, "unsigned report" in out) == (0, True)
    code, out = by_report(gate, gate.world.bad)
    assert code == 1
    assert "the report judges no LoRA" in out


def test_no_report_no_release(gate: Gate) -> None:
    code, out = by_report(gate)
    assert code == 1
    assert "has no report.json: no run has written a verdict there" in out


def test_a_run_that_exits_without_a_verdict_is_not_released(gate: Gate) -> None:
    """Status 0 and verdicts so far: a plugin, or a library, may call `os._exit(0)`."""
    dying = "import os\ndef pytest_runtest_logfinish(nodeid):\n    if 'distribution' in nodeid: os._exit(0)\n"
    (gate.folder / "dying.py").write_text(dying)
    run = gate("--lora", gate.world.good, "-p", "dying", PYTHONPATH=str(gate.folder))
    assert run.code == 0
    assert (gate.folder / "report" / "verdicts.jsonl").exists()
    code, out = by_report(gate)
    assert code == 1
    assert "has no report.json: the run ended before its verdict" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-k", "identity"), "did not pass"),
        (("--lora-seeds", "2"), "other prompts than"),
        (("--lora-scale", "0.9"), "it was judged at strength 0.9, not at 1"),
    ],
)
def test_less_than_the_policy_is_not_released(gate: Gate, arguments: tuple[str, ...], sentence: str) -> None:
    gate("--lora", gate.world.good, *arguments)
    code, out = by_report(gate)
    assert code == 1
    assert sentence in out


def test_a_check_of_ones_own_that_failed_is_not_released(gate: Gate) -> None:
    (gate.folder / "test_own.py").write_text("def test_own(lora): assert False\n")
    assert gate("--lora", gate.world.good, "test_own.py").code == 1
    code, out = by_report(gate)
    assert code == 1
    assert "test_own.py::test_own[good] did not pass" in out


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"outcome": "PASS"}', b'{"loras": [], "run": {}, "outcome": "PASS"}', b"\xff",
     b'{"loras": [{"name": "a", "sha256": 7, "path": ""}], "run": 1, "outcome": "PASS"}'],
)  # fmt: skip
def test_a_file_that_is_no_report_is_not_released(content: bytes, gate: Gate) -> None:
    (gate.folder / "report").mkdir()
    (gate.folder / "report" / "report.json").write_bytes(content)
    assert by_report(gate)[0] == 1


def edited(release: Release, change: Callable[[dict[str, Any]], None]) -> None:
    """The report as somebody who can write to the artifact leaves it."""
    path = release.folder / "report" / "report.json"
    document = json.loads(path.read_text())
    document.pop("sha256", None)
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["run"]["policy"].update(digest=5),
        lambda document: document["run"]["base"].update(label=[1]),
        lambda document: document["run"].update(started={"a": 1}, folders={"references": {"digest": None}}),
        lambda document: document["loras"][0].update(scale=10**400),
        lambda document: document.update(baseline={"sha256": "", "lora": "a"}),
    ],
)
def test_a_report_of_wrong_types_is_a_sentence(
    change: Callable[[dict[str, Any]], None], release: Release
) -> None:
    edited(release, change)
    where = ("--policy", "policy", "--report", "report")
    code, out = command(release.folder, "verify", release.lora.name, *where)
    assert (code, "report.json: /" in out) == (1, True), out
    code, out = release.attest()
    assert (code, "report.json: /" in out) == (2, True), out


def test_a_name_that_is_no_text_or_a_path_is_a_name(release: Release) -> None:
    edited(release, lambda document: document["loras"][0].update(path="/out/go\udcffod.safetensors"))
    assert release.attest() == (0, "PASSED: go?od.safetensors 0518e9745ec5, attested in good.intoto.json\n")
    edited(release, lambda document: document["loras"][0].update(path="", name="../../evil"))
    code, out = command(release.folder, "attest", "report", "--key", "team.pem")
    assert (code, out) == (0, "PASSED: evil 0518e9745ec5, attested in report/evil.intoto.json\n")


def test_a_test_whose_name_is_no_text_is_a_sentence(release: Release) -> None:
    edited(release, lambda document: document["run"].update(other_failures=["test_\udcff.py::test"]))
    code, out = release.attest()
    assert (code, "the report contains text that a statement cannot hold: " in out) == (2, True), out


def test_two_companions_of_one_file_name_are_two(release: Release) -> None:
    stack = [
        {"path": f"/{place}/style.safetensors", "sha256": sha256 * 32, "scale": 0.5, "name": "style"}
        for place, sha256 in (("a", "aa"), ("b", "bb"))
    ]
    edited(release, lambda document: document["run"].update(companions=stack))
    assert release.attest()[0] == 0
    code, out = release.verify()
    assert (code, out.count("it was judged together with style.safetensors at 0.5")) == (1, 2)


def test_the_word_at_the_head_of_a_report_is_not_believed(gate: Gate, first_run: Run) -> None:
    document = json.loads((first_run.report_folder / "report.json").read_text()) | {"outcome": "PASS"}
    del document["sha256"]
    for lora in document["loras"]:
        lora["outcome"] = "PASS"
    (gate.folder / "report").mkdir()
    (gate.folder / "report" / "report.json").write_text(json.dumps(document))
    code, out = by_report(gate, gate.world.bad)
    assert code == 1
    assert "identity did not pass" in out


def test_a_stack_and_several_strengths_must_be_named(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-scale", "0.9,1", "--lora-with", f"{gate.world.bad}:0.1")
    assert run.report["outcome"] in ("PASS", "FAIL")
    made = claim_in(gate.folder / "report")
    assert made.scales == (0.9, 1.0)
    assert {"file@0.9", "file@1"} <= set(made.passed)
    out = by_report(gate)[1]
    assert "it was judged together with wrong-identity.safetensors at 0.1; name that with --with-lora" in out
    where = ("--policy", gate.world.policy, "--report", "report", "--with-lora", f"{gate.world.bad}:0.1")
    out = command(gate.folder, "verify", gate.world.good, *where, "--lora-scale", "0.9,1")[1]
    assert "together" not in out
    assert "strength" not in out


# -- the statement


def test_the_rows_of_the_gate_itself_are_always_required() -> None:
    assert claim.OWN_ROWS == (FILE_CHECK, APPLIED_CHECK)


def test_a_claim_survives_its_statement(signed: Release) -> None:
    made = claim_in(signed.folder / "report", url="https://example.org/1")
    assert statement.decode(statement.encode(made)) == made
    assert statement.encode(made) == statement.encode(made)


def test_the_statement_is_what_in_toto_and_sigstore_take(signed: Release) -> None:
    from sigstore import dsse

    content = json.loads(signed.attestation.read_text())
    assert content["payloadType"] == "application/vnd.in-toto+json"
    payload = statement.encode(claim_in(signed.folder / "report"))
    assert (
        keys.opened(signed.attestation.read_bytes(), [keys.public_key(signed.folder / "team.pem.pub")])[0]
        == payload
    )
    assert dsse.Statement(payload)._inner.predicate_type == statement.PREDICATE_TYPE
    predicate = json.loads(payload)["predicate"]
    assert set(predicate) == {"result", "configuration", "passedTests", "warnedTests", "failedTests"}


def test_a_statement_says_nothing_of_where_things_lay(signed: Release) -> None:
    payload = statement.encode(claim_in(signed.folder / "report")).decode()
    assert str(signed.folder) not in payload
    assert str(MINIATURE.parent) not in payload


def test_openssl_agrees_on_the_signature(signed: Release, tmp_path: Path) -> None:
    """Another implementation verifies what was signed: DSSE's pre-authentication encoding, by Ed25519."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    import base64

    data = json.loads(signed.attestation.read_text())
    payload, kind = base64.b64decode(data["payload"]), data["payloadType"].encode()
    (tmp_path / "pae").write_bytes(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    (tmp_path / "sig").write_bytes(base64.b64decode(data["signatures"][0]["sig"]))
    check = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        str(signed.folder / "team.pem.pub"),
        "-rawin",
    ]
    done = subprocess.run(
        [*check, "-in", str(tmp_path / "pae"), "-sigfile", str(tmp_path / "sig")],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# -- keys


def test_a_key_pair_is_private_and_never_overwritten(tmp_path: Path) -> None:
    assert command(tmp_path, "attest", "--new-key", "k.pem")[0] == 0
    before = (tmp_path / "k.pem").read_bytes()
    assert (tmp_path / "k.pem").stat().st_mode & 0o077 == 0
    code, out = command(tmp_path, "attest", "--new-key", "k.pem")
    assert (code, "exists" in out) == (2, True)
    assert (tmp_path / "k.pem").read_bytes() == before


@pytest.mark.parametrize("algorithm", ["ED25519", "EC", "RSA"])
def test_keys_that_openssl_made_sign_and_verify(algorithm: str, signed: Release, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    options = {"EC": ["-pkeyopt", "ec_paramgen_curve:P-256"], "RSA": ["-pkeyopt", "rsa_keygen_bits:2048"]}
    private, public = tmp_path / "k.pem", tmp_path / "k.pub"
    make = ["openssl", "genpkey", "-algorithm", algorithm, *options.get(algorithm, []), "-out", str(private)]
    subprocess.run(make, check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    payload = statement.encode(claim_in(signed.folder / "report"))
    envelope = keys.sign(payload, private)
    assert keys.opened(envelope, [keys.public_key(public)])[0] == payload


@pytest.mark.parametrize(
    ("content", "sentence"), [(None, "could not be read"), (b"secret", "is not a private PEM key")]
)
def test_a_key_that_is_none_is_said_so(
    content: bytes | None, sentence: str, signed: Release, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "k.pem").write_bytes(content)
    code, out = command(tmp_path, "attest", signed.folder / "report", "--key", "k.pem")
    assert (code, sentence in out) == (2, True), out
    assert not list(signed.folder.glob("report/*.intoto.json"))


# -- keyless: what can be tried without Sigstore's servers


def test_keyless_outside_a_ci_job_says_what_to_do(signed: Release) -> None:
    code, out = command(signed.folder, "attest", "report", "--keyless")
    assert code == 2
    assert "this process has no identity (OIDC)" in out


def test_the_calls_to_sigstore_fit_the_installed_library() -> None:
    import inspect

    from sigstore.dsse import Statement
    from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
    from sigstore.oidc import IdentityToken, detect_credential
    from sigstore.sign import Signer, SigningContext
    from sigstore.verify import Verifier
    from sigstore.verify.policy import Identity

    for call, arguments, named in (
        (Statement, (b"",), {}),
        (Bundle.from_json, (b"",), {}),
        (ClientTrustConfig.production, (), {}),
        (TrustedRoot.from_file, ("",), {}),
        (IdentityToken, ("",), {}),
        (detect_credential, (), {}),
        (SigningContext.from_trust_config, (None,), {}),
        (SigningContext.signer, (None, None), {}),
        (Signer.sign_dsse, (None, None), {}),
        (Verifier.production, (), {}),
        (Verifier, (), {"trusted_root": None}),
        (Verifier.verify_dsse, (None, None, None), {}),
        (Identity, (), {"identity": "", "issuer": ""}),
    ):
        inspect.signature(call).bind(*arguments, **named)


@pytest.mark.parametrize("content", [b"{}", b"x", (attestations.FOLDER / "good.json").read_bytes()])
def test_what_is_no_bundle_is_refused(content: bytes) -> None:
    from lora_checks.core.errors import ReleaseError

    with pytest.raises(ReleaseError, match="is not a Sigstore bundle"):
        keyless.opened(content, "somebody@example.org")


# -- what a release step costs


def test_verify_imports_no_network_and_few_packages(signed: Release) -> None:
    """The last job of a workflow installs just these (release-gate.yml), on a machine without a GPU."""
    arguments = ["verify", "good.safetensors", "--policy", "policy", "--report", "report"]
    code = f"import sys\nfrom lora_checks.__main__ import main\nprint(main({arguments}), *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=signed.folder, capture_output=True, text=True, check=True
    )
    status, *modules = done.stdout.splitlines()[-1].split()
    assert status == "0"
    names = {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names)
    known = {"lora_checks", "numpy", "PIL", "yaml", "filelock", "sitecustomize", "defusedxml"}
    known.add("cython_runtime")  # no package: what NumPy's and PyYAML's compiled parts share
    assert {name for name in names if not name.startswith("_")} <= known


def test_the_job_of_github_actions_is_told(gate: Gate, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_WORKSPACE": str(gate.world.policy),
    }
    run = gate("--lora", gate.world.bad, **env)
    assert summary.read_text().startswith("# FAIL: wrong-identity.safetensors")
    place = r"^::error file=thresholds.yaml,line=\d+,title=FAIL identity::mean arcface"
    assert re.search(place, run.out, re.M)
    guard = re.search(r"^::stop-commands::(\w+)\n(.*)^::\1::$", run.out, re.M | re.S)
    assert guard
    assert "wrong-identity.safetensors  FAIL" in guard[2]
    plain = gate("--lora", gate.world.bad)
    assert "::" not in plain.out.replace("::test", "")
