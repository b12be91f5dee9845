"""Convert a claim to and from an in-toto Statement v1 with the predicate test-result v0.1.

That predicate has no fields for numbers and times; they become annotations of the resources they belong to.
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
    """Return the statement as canonical JSON: equal claims give equal bytes. Raises `ReleaseError`."""
    library = _libraries()
    try:
        statement = _statement(claim, library)
        statement.validate()
    except (ValueError, TypeError) as error:  # such as a lone surrogate in the name of a test
        raise ReleaseError(
            f"the report contains text that a statement cannot hold: {first_line(error)}"
        ) from error
    return json.dumps(library.plain(statement.pb), sort_keys=True, separators=(",", ":")).encode()


def _statement(claim: Claim, library: SimpleNamespace) -> Any:
    subject = library.descriptor(claim.name, claim.sha256, {"scales": [f"{s:g}" for s in claim.scales]})
    predicate = {
        "result": claim.result,
        "configuration": [
            library.plain(library.descriptor(name, resource.sha256, dict(resource.notes)))
            for name, resource in claim.configuration.items()
        ],
        "passedTests": list(claim.passed),
        "warnedTests": list(claim.warned),
        "failedTests": list(claim.failed),
    } | ({"url": claim.url} if claim.url else {})
    return library.Statement([subject], PREDICATE_TYPE, predicate)


def decode(payload: bytes) -> Claim:
    """Return the claim of a statement whose signature was verified.

    Raises `ReleaseError` for a malformed statement or one with another predicate.
    """
    library = _libraries()
    data = strict_json(payload, "the statement")
    if data.get("predicateType") != PREDICATE_TYPE and isinstance(data.get("predicateType"), str):
        raise ReleaseError(f"the statement is not a test result: its predicate is {data['predicateType']!r}")
    try:
        statement = library.statement(data)
        statement.validate()
        predicate = library.predicate(data["predicate"])
        plain = library.plain(statement.pb)["subject"], library.plain(predicate)
    except Exception as error:  # protobuf's ParseError, in-toto's ValueError and KeyError among others
        raise ReleaseError(f"the statement is malformed: {first_line(error)}") from error
    if len(statement.pb.subject) != 1:
        raise ReleaseError(f"the statement has {len(statement.pb.subject)} subjects, not one LoRA")
    try:
        return _claim(plain[0][0], plain[1])
    except (TypeError, ValueError, AttributeError) as error:
        raise ReleaseError(f"the statement is malformed: {first_line(error)}") from error


def _claim(subject: Mapping[str, Any], predicate: Mapping[str, Any]) -> Claim:
    configuration: dict[str, Resource] = {}
    for resource in predicate.get("configuration", ()):
        name = resource.get("name", "")
        if name in configuration:
            raise ReleaseError(f"the statement is malformed: its configuration names '{name}' twice")
        configuration[name] = Resource(
            resource.get("digest", {}).get("sha256", ""), resource.get("annotations", {})
        )
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


def _scales(scales: Any) -> tuple[float, ...]:
    try:
        return tuple(map(float, scales if isinstance(scales, list) else [scales]))
    except (TypeError, ValueError):
        raise ValueError("the strengths of its subject are not numbers") from None


def _libraries() -> SimpleNamespace:
    """Import in-toto's classes and protobuf's JSON, which only statements need."""
    try:
        from google.protobuf import json_format
        from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
        from in_toto_attestation.v1 import resource_descriptor, statement, statement_pb2
    except ImportError as error:
        raise PrerequisiteError(f"attestations need in-toto's libraries ({error}); {INSTALL}") from error

    def read(data: Any, kind: Any) -> Any:
        for field in kind.DESCRIPTOR.fields:  # protobuf also accepts "predicate_type"; other readers do not
            if field.name != field.json_name and field.name in data:
                raise ValueError(f"it has no field '{field.name}', only '{field.json_name}'")
        return json_format.ParseDict(data, kind(), ignore_unknown_fields=True)  # required by in-toto

    def descriptor(name: str, sha256: str, notes: Mapping[str, Any]) -> Any:
        resource = resource_descriptor.ResourceDescriptor(
            name, digest={"sha256": sha256} if sha256 else None, annotations=dict(notes)
        )
        resource.validate()
        return resource.pb

    return SimpleNamespace(
        Statement=statement.Statement,
        descriptor=descriptor,
        plain=json_format.MessageToDict,
        statement=lambda data: statement.Statement.copy_from_pb(read(data, statement_pb2.Statement)),
        predicate=lambda data: read(data, test_result_pb2.TestResult),
    )
