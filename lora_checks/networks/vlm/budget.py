"""Count what a vision model is asked, in all processes of a run, and end a row that its budget cannot pay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.store import Store, read_lines
from lora_checks.core.words import count
from lora_checks.networks.vlm.api import Reply
from lora_checks.networks.weights import check_keys, number

MILLION = 1_000_000
FILE = "asked.jsonl"  # in the store: a line for each reply that was paid for


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may cost; None is no limit."""

    calls: float | None = None
    tokens: float | None = None
    money: float | None = None
    price: float = 0.0  # of a million tokens, in the unit of ``money``


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has cost."""

    replies: int = 0
    calls: int = 0
    tokens: int = 0


def budget_of(settings: object) -> Budget:
    """Read ``budget:`` of a network's settings. Raises `ConfigError`."""
    if settings is None:
        return Budget()
    if not isinstance(settings, Mapping):
        raise ConfigError("networks: judge: budget: must be a mapping such as {calls: 2000, tokens: 3000000}")
    check_keys("judge: budget", settings, {"calls", "tokens", "money", "price"})
    if "money" in settings and "price" not in settings:
        raise ConfigError("networks: judge: budget: money needs 'price', that of a million tokens")
    limits: dict[str, Any] = {key: number("judge: budget", settings, key, 0, 0, 1e12) for key in settings}
    return Budget(**limits)


class Account:
    """What the processes of this run have spent on one model since it began."""

    def __init__(self, store: Store, model: str, budget: Budget) -> None:
        self._store, self._model, self._budget = store, model, budget
        self._path = store.root / FILE
        self._begin = self._path.stat().st_size if self._path.exists() else 0
        before = self._since(0)
        self.tokens_each = before.tokens / before.replies if before.replies else 0.0  # in earlier runs

    def add(self, reply: Reply) -> None:
        """Note a reply; it is durable when this returns."""
        line = {"model": self._model, "calls": reply.calls, "tokens": reply.tokens}
        self._store.append(self._path, line)

    def spent(self) -> Spent:
        """Return what was spent in this run."""
        return self._since(self._begin)

    def money(self, tokens: float) -> float:
        return tokens * self._budget.price / MILLION

    def _since(self, start: int) -> Spent:
        lines = [line for line in read_lines(self._path, start) if line.get("model") == self._model]
        return Spent(len(lines), *(sum(int(line[key]) for line in lines) for key in ("calls", "tokens")))

    def refuse_beyond(self, questions: int) -> None:
        """Raise `MeasureError` if asking this many more questions would exceed the budget.

        Tokens are foreseen from those of the replies so far.
        """
        if not questions or self._budget == Budget():
            return
        spent = self.spent()
        tokens = spent.tokens + round(questions * spent.tokens / max(spent.replies, 1))
        for name, wanted, limit in (
            ("calls", spent.calls + questions, self._budget.calls),
            ("tokens", tokens, self._budget.tokens),
            ("money", self.money(tokens), self._budget.money),
        ):
            if limit is not None and wanted > limit:
                raise MeasureError(
                    f"the budget of {limit:,} {name} does not cover {count(questions, 'more question')}: "
                    f"{count(spent.calls, 'call')} and {count(spent.tokens, 'token')} are spent in this run; "
                    f"raise 'budget' of the network, or ask less. What was answered is kept"
                )
