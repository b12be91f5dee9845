"""What a loader makes of a LoRA file, as a record and in words."""

from __future__ import annotations

from dataclasses import dataclass

from lora_checks.core.words import count, number


@dataclass(frozen=True, slots=True)
class Strength:
    """Layers that are loaded at another strength than their file states."""

    theirs: float
    stated: float
    layers: int
    example: str  # name of one of them


@dataclass(frozen=True, slots=True)
class Loading:
    """How many layers of a file diffusers' own loader puts on a base, and how."""

    layers: int  # in the file
    loaded: int = 0  # of them, with numbers on every module that they are of
    others: tuple[Strength, ...] = ()  # loaded at another strength, most layers first
    plain: int = 0  # loaded without their magnitudes: a DoRA as a plain LoRA
    changed: int = 0  # loaded with numbers that no strength explains
    beside: int = 0  # modules that got numbers though no layer of the file is of them
    refused: str = ""  # the loader's error; "" if it loads
    unknown: str = ""  # why nothing can be told; "" if it can

    @property
    def faithful(self) -> bool:
        """Whether the loader puts every layer on the base as the file states it."""
        troubles = (self.others, self.plain, self.changed, self.beside, self.refused, self.unknown)
        return self.loaded == self.layers and not any(troubles)

    def words(self) -> str:
        """Return a clause: "diffusers loads 18 of 20 layers at strength 1 instead of 0.5"."""
        if self.unknown:
            return f"what diffusers loads of it is not known ({self.unknown})"
        if self.refused:
            return f"diffusers refuses the file: {self.refused}"
        if not self.loaded:
            return f"diffusers loads none of {count(self.layers, 'layer')} and raises no error"
        share = f"all {self.layers}" if self.loaded == self.layers else f"{self.loaded} of {self.layers}"
        return f"diffusers loads {share} layers{self._strength()}{self._troubles()}"

    def _strength(self) -> str:
        other = sum(strength.layers for strength in self.others)
        if not other:
            return "" if self.plain or self.changed else " at the same strength"
        most = self.others[0]
        pair = f"{number(most.theirs, [most.stated])} instead of {number(most.stated, [most.theirs])}"
        if most.layers == self.loaded:
            return f" at strength {_short(pair)}"
        return f", {self._share(other)} at another strength (such as {most.example}: {_short(pair)})"

    def _share(self, layers: int) -> str:
        return "all of them" if layers == self.loaded else f"{layers} of them"

    def _troubles(self) -> str:
        parts = [f", {self._share(self.plain)} without magnitudes (DoRA)"] if self.plain else []
        parts += [f", {self._share(self.changed)} with other numbers"] if self.changed else []
        parts += [f", and changes {count(self.beside, 'module')} beside them"] if self.beside else []
        return "".join(parts)


def _short(pair: str) -> str:
    """Drop the zeros that end decimals: "1.000 instead of 0.500" is "1 instead of 0.5"."""
    words = pair.split()
    plain = [each if "e" in each or "." not in each else each.rstrip("0").rstrip(".") for each in words]
    return " ".join(plain)
