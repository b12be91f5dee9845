"""Attestations that must not release anything, and one that does: python tests/attestations.py writes them.

Ed25519 signatures and the statements are deterministic, so the files change only with what they are about:
the policy beside them, and how the gate takes its digest. The sentences that refuse them stand in
`expected.json`, which no script writes.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lora_checks.publish.release import keys, statement
from lora_checks.publish.release.claim import Claim, Resource, sha256_of
from lora_checks.publish.release.wanted import wanted

FOLDER = Path(__file__).parent / "data" / "attestations"
POLICY, SUBJECT = FOLDER / "policy", FOLDER / "subject.safetensors"
KEY, OTHER_KEY, PUBLIC = (FOLDER / f"TEST-ONLY-{n}" for n in ("key.pem", "other-key.pem", "key.pub"))
BASE = "example/base@0123456789abcdef0123456789abcdef01234567"
Data = dict[str, Any]


def claim() -> Claim:
    """What a PASS of the subject under the policy claims."""
    asked = wanted(SUBJECT, POLICY)
    found = {"policy": Resource(asked.policy.digest, {"directory": "policy"})}
    found |= {f"policy/{part}": Resource(sha256) for part, sha256 in asked.policy.parts.items()}
    found |= {f"folder/{name}": Resource(sha256, {"images": "2"}) for name, sha256 in asked.folders.items()}
    found["base"] = Resource(sha256_of(BASE), {"identity": BASE})
    found["approved"] = Resource("fe" * 32, {"lora": "last"})
    found["report.json"] = Resource("ab" * 32, {"finished": "2026-01-02T03:04:05+00:00"})
    rows = ("file", "applied", "prompt-adherence", "sharp", "regression-sharp")
    return Claim(SUBJECT.name, asked.sha256, (1.0,), "PASSED", rows, ("varied",), (), found)


def envelope(payload: bytes, key: Path = KEY) -> Data:
    signed: Data = json.loads(keys.sign(payload, key))
    return signed


def of(change: Callable[[Data], Any]) -> bytes:
    """A changed statement, well signed."""
    data = json.loads(statement.encode(claim()))
    change(data)
    return text(envelope(json.dumps(data, sort_keys=True).encode()))


def around(change: Callable[[Data], Any]) -> bytes:
    """The good attestation, its envelope changed after it was signed."""
    data = envelope(statement.encode(claim()))
    change(data)
    return text(data)


def text(data: Data) -> bytes:
    return json.dumps(data, indent=1, sort_keys=True).encode() + b"\n"


def resource(data: Data, name: str) -> Data:
    found: Data = next(one for one in data["predicate"]["configuration"] if one["name"] == name)
    return found


def differing(name: str) -> bytes:
    return of(lambda data: resource(data, name).update(digest={"sha256": "cd" * 32}))


def predicate(**changes: Any) -> bytes:
    return of(lambda data: data["predicate"].update(changes))


def without(*names: str) -> bytes:
    def remove(data: Data) -> None:
        kept = [one for one in data["predicate"]["configuration"] if one["name"] not in names]
        data["predicate"]["configuration"] = kept

    return of(remove)


def more(name: str, **fields: Any) -> bytes:
    one = {"name": name, "digest": {"sha256": "ef" * 32}, **fields}
    return of(lambda data: data["predicate"]["configuration"].append(one))


def uncompared(said: bool) -> bytes:
    """Without the row that compares with the last release; it may say that there was none."""

    def change(data: Data) -> None:
        data["predicate"]["passedTests"].remove("regression-sharp")
        if said:
            resource(data, "approved").pop("digest")

    return of(change)


def respelt(name: str, value: Any) -> Callable[[Data], None]:
    """A field a second time in protobuf's other spelling: readers may differ on which one counts."""
    return lambda data: data.update({name: value})


def forged() -> bytes:
    """A signed FAILED, its payload rewritten to PASSED."""
    good = statement.encode(claim())
    signed = envelope(good.replace(b'"PASSED"', b'"FAILED"'))
    return text(signed | {"payload": base64.b64encode(good).decode()})


def resigned(data: Data) -> None:
    """By another key in the trusted key's name."""
    other = envelope(base64.b64decode(data["payload"]), OTHER_KEY)["signatures"][0]["sig"]
    data["signatures"][0]["sig"] = other


def other_type(kind: str) -> bytes:
    """Signed as what it says it is, which is no statement."""
    from unittest.mock import patch

    with patch.object(keys, "PAYLOAD_TYPE", kind):
        return text(envelope(statement.encode(claim())))


def twice() -> bytes:
    """A payload in which the result stands twice: readers may differ on which one counts."""
    good = statement.encode(claim())
    return text(envelope(good.replace(b'"result":"PASSED"', b'"result":"FAILED","result":"PASSED"')))


def fixtures() -> dict[str, bytes]:
    good = around(lambda _: None)
    subject = json.loads(statement.encode(claim()))["subject"][0]
    parts = ["policy/thresholds", "policy/prompts", "policy/networks"]
    elsewhere = {"annotations": {"caveat": "not proven"}}
    return {
        "good": good,
        "truncated": good[: len(good) // 2],
        "empty": b"",
        "not-json": b"released\n",
        "a-list": b"[]\n",
        "no-payload": around(lambda data: data.pop("payload")),
        "unsigned": around(lambda data: data.update(signatures=[])),
        "no-signatures": around(lambda data: data.pop("signatures")),
        "key-twice": good.replace(b'{\n "payload"', b'{\n "payload": "e30=",\n "payload"'),
        "tampered-payload": forged(),
        "tampered-signature": around(lambda data: data["signatures"][0].update(sig="A" * 86 + "==")),
        "broken-base64": around(lambda data: data.update(payload="%%%")),
        "replaced-payload-type": around(lambda data: data.update(payloadType="text/plain")),
        "other-key": text(envelope(statement.encode(claim()), OTHER_KEY)),
        "other-key-in-its-name": around(resigned),
        "other-payload-type": other_type("application/json"),
        "other-predicate": of(lambda data: data.update(predicateType="https://slsa.dev/provenance/v1")),
        "other-statement": of(lambda data: data.update(_type="https://in-toto.io/Statement/v0.1")),
        "no-predicate": of(lambda data: data.pop("predicate")),
        "no-subject": of(lambda data: data.update(subject=[])),
        "no-digest": of(lambda data: data["subject"][0].pop("digest")),
        "two-subjects": of(lambda data: data["subject"].append(copy.deepcopy(subject))),
        "other-subject": of(lambda data: data["subject"][0].update(digest={"sha256": "12" * 32})),
        "other-hash": of(lambda data: data["subject"][0].update(digest={"md5": "12" * 16})),
        "result-twice": twice(),
        "failed": predicate(result="FAILED", passedTests=["file", "applied", "sharp", "regression-sharp"],
                            failedTests=["prompt-adherence"]),
        "warned": predicate(result="WARNED"),
        "lower-case": predicate(result="passed"),
        "first-release": uncompared(said=True),
        "not-compared": uncompared(said=False),
        "other-ranking": differing("policy/ranking"),
        "respelt-type": of(respelt("predicate_type", "https://slsa.dev/provenance/v1")),
        "respelt-rows": of(lambda data: respelt("failed_tests", ["sharp"])(data["predicate"])),
        "infinite": text(envelope(statement.encode(claim()).replace(b'"scales":["1"]', b'"scales":[1e999]'))),
        "strength-in-a-list": of(lambda data: data["subject"][0].update(annotations={"scales": [["1"]]})),
        "note-no-text": of(lambda data: resource(data, "base").update(annotations={"identity": [BASE]})),
        "no-result": predicate(result=""),
        "contradiction": predicate(failedTests=["sharp"]),
        "not-applied": predicate(passedTests=["file", "prompt-adherence", "sharp", "regression-sharp"]),
        "no-rows": predicate(passedTests=[]),
        "rows-warned": predicate(passedTests=["file", "applied", "regression-sharp"],
                                 warnedTests=["prompt-adherence", "sharp"]),
        **{f"other-{name.replace('/', '-')}": differing(name) for name in parts},
        "other-policy": differing("policy"),
        "no-policy": without("policy", *parts),
        "other-references": differing("folder/references"),
        "no-references": without("folder/references"),
        "resource-twice": more("folder/references"),
        "other-base": of(lambda data: resource(data, "base").update(
            annotations={"identity": "other/base@" + "0" * 40},
            digest={"sha256": sha256_of("other/base@" + "0" * 40)})),
        "other-commit": of(lambda data: resource(data, "base").update(
            annotations={"identity": "example/base@" + "0" * 40},
            digest={"sha256": sha256_of("example/base@" + "0" * 40)})),
        "relabelled-base": of(lambda data: resource(data, "base").update(digest={"sha256": "34" * 32})),
        "no-base": without("base"),
        "companion": more("companion/style.safetensors", annotations={"scale": "0.7"}),
        "elsewhere": more("elsewhere", **elsewhere),
        "half-strength": of(lambda data: data["subject"][0].update(annotations={"scales": ["0.5"]})),
        "strength-not-stated": of(lambda data: data["subject"][0].pop("annotations")),
        "no-strength": of(lambda data: data["subject"][0].update(annotations={"scales": ["strong"]})),
        "bundle": text({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": {}}),
    }  # fmt: skip


def main() -> None:
    for name, content in fixtures().items():
        (FOLDER / f"{name}.json").write_bytes(content)


if __name__ == "__main__":
    main()
