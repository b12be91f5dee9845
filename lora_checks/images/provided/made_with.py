"""Compare the LoRA and strength in the pictures' metadata with the LoRA that is gated.

Metadata that names another LoRA is a reason to refuse a picture. If it is missing or not understood, the
LoRA is unknown, and the row says for how many pictures.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import Lora
from lora_checks.core.words import count, printable
from lora_checks.images.provided.origin import Origin
from lora_checks.images.provided.picture import Picture
from lora_checks.images.provided.uses import Use, called, is_of_nothing, quoted

OPTION = "--lora-images-made-with"
_SHOWN = 120  # characters of a reason
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The LoRA of ``--lora``, as pictures may call it."""

    file: str
    names: frozenset[str]
    digests: tuple[str, ...]
    by_word: str = ""  # the user's name for this file

    @classmethod
    def of(cls, lora: Lora, by_word: str = "") -> Wanted:
        """Take the digests of the file and of its tensors, and the one that the file itself states."""
        stated = lora.facts.get("tensors sha256", "").lower().removeprefix("0x")
        digests = (lora.sha256, lora.tensors_sha256, stated)
        names = {lora.path.stem, lora.facts.get("title", "")} - {""}
        return cls(
            lora.path.name,
            frozenset(called(name).casefold() for name in names),
            tuple(digest for digest in digests if digest and not is_of_nothing(digest)),
            called(by_word).casefold(),
        )

    def is_by_word(self, use: Use) -> bool:
        return bool(self.by_word) and use.name.casefold() == self.by_word

    def is_called(self, use: Use) -> bool:
        return use.name.casefold() in self.names

    def is_it(self, use: Use) -> bool:
        """Tell whether a use is this LoRA: the user's statement wins over digests, digests over names."""
        if self.is_by_word(use):
            return True
        if use.digests:
            return any(digest.startswith(use.digests) for digest in self.digests)
        return self.is_called(use)


def stale(pictures: Sequence[Picture], lora: Lora | None, by_word: str = "") -> list[str]:
    """Return a sentence for each picture whose metadata names another LoRA or strength than expected."""
    if lora is None:
        return [f"{picture.path.name}: made with a LoRA" for picture in pictures if picture.origin.on]
    wanted = Wanted.of(lora, by_word) if lora.sha256 else None
    if wanted and by_word:
        _refuse_unnamed(pictures, wanted, by_word)
    usual = _Usual.of(pictures, wanted)
    sentences = []
    for picture in pictures:
        why = _foreign(picture.origin, wanted, usual) or usual.odd(picture.origin)
        sentences += [f"{picture.path.name}: {why}"] if why else []
    return sentences


def _refuse_unnamed(pictures: Sequence[Picture], wanted: Wanted, by_word: str) -> None:
    uses = [use for picture in pictures for use in picture.origin.loras or ()]
    if not any(map(wanted.is_by_word, uses)):
        names = sorted({use.name for use in uses if use.name})
        known = f"they name {', '.join(map(quoted, names[:3]))}" if names else "they name none"
        raise MeasureError(f"{OPTION} {by_word}: no picture names a LoRA of that name; {known}")


@dataclass(frozen=True, slots=True)
class _Usual:
    """The most frequent LoRAs and strengths in the pictures' metadata."""

    names: tuple[str, ...] | None
    strengths: dict[str, str] = field(default_factory=dict)  # by name
    digests: tuple[str, ...] = ()  # if no file was named

    @classmethod
    def of(cls, pictures: Sequence[Picture], wanted: Wanted | None) -> _Usual:
        origins = [picture.origin for picture in pictures]
        uses = [use for origin in origins for use in origin.on if use.is_known]
        by_name = {
            name: _most(use.strength for use in uses if use.name == name) or ""
            for name in {use.name for use in uses}
        }
        digests = (use.digests for origin in origins for use in origin.on if use.digests)
        return cls(_most(o.names or None for o in origins), by_name, () if wanted else next(digests, ()))

    def odd(self, origin: Origin) -> str:
        if origin.names and self.names and origin.names != self.names:
            return f"made with {_and(origin.names)}, the others with {_and(self.names)}"
        for use in origin.on:
            usual = self.strengths.get(use.name)
            if use.is_known and usual and use.strength != usual:
                return (
                    f"made with {use}, the others at {usual}"
                    if use.name
                    else f"{use.strength}, the others at {usual}"
                )
        return ""


def _most(values: Iterable[T | None]) -> T | None:
    most = Counter(value for value in values if value is not None).most_common(1)
    return most[0][0] if most else None


def _foreign(origin: Origin, wanted: Wanted | None, usual: _Usual) -> str:
    if origin.is_without:
        off = ", ".join(str(use) for use in origin.loras or () if use.name)
        return f"made without a LoRA: {off}" if off else "made without a LoRA"
    if not wanted:
        return _disagreeing(origin, usual)
    expected = [use for use in origin.loras or () if wanted.is_it(use)]
    if expected:
        return "" if any(not use.is_off for use in expected) else f"made with {expected[0]}"
    others = [use for use in origin.on if use.name or use.digests]
    return _accused(others, wanted) if others and len(others) == len(origin.on) else ""


def _disagreeing(origin: Origin, usual: _Usual) -> str:
    digests = [digest for use in origin.on for digest in use.digests]
    alike = any(a.startswith(b) or b.startswith(a) for a in digests for b in usual.digests)
    if not digests or alike:
        return ""
    return f"made with the LoRA of digest {digests[0][:12]}, the others with another"


def _accused(others: Sequence[Use], wanted: Wanted) -> str:
    use = next(filter(wanted.is_called, others), others[0])
    way_out = f"if it is this file, say so with {OPTION} {shlex.quote(printable(use.name))}"
    if wanted.is_called(use):
        return (
            f"made with {quoted(use.name)}, but of digest {use.digests[0][:12]}, which is not of "
            f"{wanted.file}; Forge writes a digest of the name there; {way_out}"
        )
    if not use.name:
        return f"made with the LoRA of digest {use.digests[0][:12]}, not {wanted.file}"
    return f"made with {_and([use.name for use in others if use.name])}, not with {wanted.file}; {way_out}"


def _and(names: Iterable[str]) -> str:
    return " and ".join(map(quoted, names))


def lora_by(origin: Origin, wanted: Wanted | None) -> str:
    """Return the source that says the picture was made with this LoRA; "" if there is none."""
    if wanted and any(wanted.is_by_word(use) and not use.is_off for use in origin.on):
        return OPTION
    return origin.source if origin.on and not unknown(origin) else ""


def unknown(origin: Origin) -> str:
    """Return why the LoRA or its strength is unknown; "" if both are known."""
    if origin.loras is None:
        return "nothing in the file says so"
    if origin.unclear:
        line = printable(origin.unclear)
        return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
    vague = next((use for use in origin.on if not use.is_known), None)
    if vague is None:
        return ""
    return str(vague) if vague.name else "a LoRA without a name"


def summary(pictures: Sequence[Picture], lora: Lora, by_word: str = "") -> list[str]:
    """Return "made with 'good' at strength 1 by their metadata", "LoRA or strength of 2 unknown (...)"."""
    silent = {picture.path.name: unknown(picture.origin) for picture in pictures}
    why = {name: reason for name, reason in silent.items() if reason}
    known = [picture.origin for picture in pictures if not silent[picture.path.name]]
    named = Counter(", ".join(map(str, origin.on)) for origin in known if origin.names)
    parts = []
    for uses, n in named.items():
        number = "" if n == len(pictures) else f"{n} "
        parts.append(f"{number}made with {uses} by their metadata")
    if by_word:
        parts.append(f"{quoted(by_word)} is {lora.path.name} according to the user ({OPTION})")
    if why:
        first, reason = next(iter(why.items()))
        parts.append(
            f"LoRA or strength of {len(why)} of {count(len(pictures), 'picture')} unknown ({first}: {reason})"
        )
    return parts
