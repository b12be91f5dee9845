"""A claim as an in-toto Statement v1 with the predicate test-result v0.1, in in-toto's own classes.

Numbers and times have no place in that predicate; they are annotations of the resources they belong to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from lora_checks.core.errors import PrerequisiteError, ReleaseError, first_line
from lora_checks.core.strict_json import strict_json
from lora_checks.publish.release.claim import Claim, Resource

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
INSTALL = "install them with: pip install 'lora-checks[release]'"


def encode(claim: Claim) -> bytes:
    """The statement as canonical JSON: the same claim is always the same bytes. Raises `ReleaseError`."""
    library = _libraries()
    try:
        found = _statement(claim, library)
        found.validate()
    except (ValueError, TypeError) as error:  # such as a lone surrogate in the name of a test
        raise ReleaseError(f"what the report says is no text of a statement: {first_line(error)}") from error
    return json.dumps(library.plain(found.pb), sort_keys=True, separators=(",", ":")).encode()


def _statement(claim: Claim, library: SimpleNamespace) -> Any:
    subject = library.descriptor(claim.name, claim.sha256, {"scales": [f"{s:g}" for s in claim.scales]})
    predicate = {
        "result": claim.result,
        "configuration": [
            library.plain(library.descriptor(name, one.sha256, dict(one.notes)))
            for name, one in claim.configuration.items()
        ],
        "passedTests": list(claim.passed),
        "warnedTests": list(claim.warned),
        "failedTests": list(claim.failed),
    } | ({"url": claim.url} if claim.url else {})
    return library.Statement([subject], PREDICATE_TYPE, predicate)


def decode(payload: bytes) -> Claim:
    """The claim of a statement whose signature was verified. Raises `ReleaseError` for another statement."""
    library = _libraries()
    data = strict_json(payload, "the statement")
    if data.get("predicateType") != PREDICATE_TYPE and isinstance(data.get("predicateType"), str):
        raise ReleaseError(f"the statement is no test result: its predicate is {data['predicateType']!r}")
    try:
        read = library.statement(data)
        read.validate()
        predicate = library.predicate(data["predicate"])
        plain = library.plain(read.pb)["subject"], library.plain(predicate)
    except Exception as error:  # protobuf's ParseError, in-toto's ValueError and KeyError among others
        raise ReleaseError(f"the statement is malformed: {first_line(error)}") from error
    if len(read.pb.subject) != 1:
        raise ReleaseError(f"the statement is of {len(read.pb.subject)} subjects, not of one LoRA")
    try:
        return _claim(plain[0][0], plain[1])
    except (TypeError, ValueError, AttributeError) as error:
        raise ReleaseError(f"the statement is malformed: {first_line(error)}") from error


def _claim(subject: Mapping[str, Any], predicate: Mapping[str, Any]) -> Claim:
    configuration: dict[str, Resource] = {}
    for one in predicate.get("configuration", ()):
        name = one.get("name", "")
        if name in configuration:
            raise ReleaseError(f"the statement is malformed: its configuration names '{name}' twice")
        configuration[name] = Resource(one.get("digest", {}).get("sha256", ""), one.get("annotations", {}))
    return Claim(
        name=subject.get("name", ""),
        sha256=subject.get("digest", {}).get("sha256", ""),
        scales=_scales(subject.get("annotations", {}).get("scales", [])),
        result=predicate.get("result", ""),
        passed=tuple(predicate.get("passedTests", ())),
        warned=tuple(predicate.get("warnedTests", ())),
        failed=tuple(predicate.get("failedTests", ())),
        configuration=configuration,
        url=predicate.get("url", ""),
    )


def _scales(found: Any) -> tuple[float, ...]:
    try:
        return tuple(map(float, found if isinstance(found, list) else [found]))
    except (TypeError, ValueError):
        raise ValueError("the strengths of its subject are no numbers") from None


def _libraries() -> SimpleNamespace:
    """in-toto's classes and protobuf's JSON, loaded when a statement is made or read."""
    try:
        from google.protobuf import json_format
        from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
        from in_toto_attestation.v1 import resource_descriptor, statement, statement_pb2
    except ImportError as error:
        raise PrerequisiteError(f"attestations need in-toto's libraries ({error}); {INSTALL}") from error

    def read(data: Any, kind: Any) -> Any:
        for one in kind.DESCRIPTOR.fields:  # protobuf takes "predicate_type", too, and other readers do not
            if one.name != one.json_name and one.name in data:
                raise ValueError(f"'{one.name}' is no field of it; '{one.json_name}' is")
        return json_format.ParseDict(data, kind(), ignore_unknown_fields=True)  # as in-toto asks of readers

    def descriptor(name: str, sha256: str, notes: Mapping[str, Any]) -> Any:
        made = resource_descriptor.ResourceDescriptor(
            name, digest={"sha256": sha256} if sha256 else None, annotations=dict(notes)
        )
        made.validate()
        return made.pb

    return SimpleNamespace(
        Statement=statement.Statement,
        descriptor=descriptor,
        plain=json_format.MessageToDict,
        statement=lambda data: statement.Statement.copy_from_pb(read(data, statement_pb2.Statement)),
        predicate=lambda data: read(data, test_result_pb2.TestResult),
    )
