"""The LoRA file itself, before any model is loaded: readable, whole, trained."""

from collections.abc import Callable

from lora_checks.records import Lora, Outcome, Verdict
from lora_checks.session import FILE_CHECK


def test_lora_file(lora: Lora, record_verdict: Callable[[Verdict], None]) -> None:
    layers = ", ".join(f"{count} {name} layers" for name, count in lora.components.items())
    found = f"{lora.kind}, rank {'/'.join(map(str, lora.ranks))}, {layers}"
    record_verdict(Verdict(lora.name, lora.sha256, FILE_CHECK, Outcome.PASS, found))
    assert lora.tensors > 0
