"""The output of `inspect` for people: a block for each file, or a table with a line for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from lora_checks.core.records import Lora
from lora_checks.core.words import count, number, printable
from lora_checks.lora.inspection import Inspected, block_norms
from lora_checks.lora.words import ALGORITHMS

_MAX_GROUPS = 6  # of a histogram
_MAX_NORMS = 10  # on one line
_MAX_NAME = 40  # characters of a file's name in the table


def blocks(found: Sequence[Inspected]) -> str:
    """Return a block of text for each file."""
    return "\n\n".join("\n".join(_block(inspected)) for inspected in found)


def _block(found: Inspected) -> Iterator[str]:
    if found.lora is None:
        yield f"error: {printable(found.error)}"
        return
    lora = found.lora
    yield f"{printable(str(found.path))}  ({_size(found.size)})"
    for title, text in _rows(found, lora):
        yield f"  {title:<12}{text}"


def _rows(found: Inspected, lora: Lora) -> Iterator[tuple[str, str]]:
    yield "kind", ", ".join([lora.kind, *(ALGORITHMS.get(name, name) for name in lora.algorithms)])
    yield "fits", " or ".join(lora.families) or "nothing tells which base"
    parts = [count(layers, f"{component} layer") for component, layers in lora.components.items()]
    yield "layers", f"{', '.join(parts)}; {count(lora.tensors, 'tensor')}"
    yield "rank", _histogram(layer.rank for layer in lora.layers)
    yield "alpha/rank", _histogram(layer.scaling for layer in lora.layers)
    yield from _norms(found)
    yield from ((name, text) for name, text in lora.facts.items() if name != "tensors sha256")
    if found.loading:
        yield "on the base", printable(found.loading["words"])
    yield "sha256", lora.sha256
    yield "tensors", lora.tensors_sha256
    yield from (("warning", printable(warning)) for warning in lora.warnings)


def _norms(found: Inspected) -> Iterator[tuple[str, str]]:
    """Yield a line for each row of blocks: "unet down_blocks  0.81 0.42"."""
    yield "change", f"{number(found.norm)} in all (Frobenius norm of what is added at strength 1)"
    rows = groupby(block_norms(found).items(), lambda item: (item[0][0], _row(item[0][1])))
    for (component, row), items in rows:
        norms = [number(norm) for _, norm in items]
        for begin in range(0, len(norms), _MAX_NORMS):
            title = f"{component} {row}" if not begin else ""
            yield "", f"{title:<36}{' '.join(f'{norm:>8}' for norm in norms[begin : begin + _MAX_NORMS])}"


def _row(block: str) -> str:
    return block.rstrip("0123456789").rstrip("_") or "others"


def _histogram(values: Iterable[float | None]) -> str:
    """Count the values, the most frequent first: "4 (100), 8 (6)"."""
    groups = sorted(Counter(values).items(), key=lambda group: (-group[1], group[0] or 0))
    texts = [f"{'none' if value is None else f'{value:g}'} ({layers})" for value, layers in groups]
    more = f" and {len(texts) - _MAX_GROUPS} more" if len(texts) > _MAX_GROUPS else ""
    return ", ".join(texts[:_MAX_GROUPS]) + more


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def table(found: Sequence[Inspected]) -> str:
    """Return a table with a line for each file, and the errors of bad files below it."""
    good = [(inspected, inspected.lora) for inspected in found if inspected.lora is not None]
    rows = [("file", "kind", "rank", "alpha/rank", "layers", "steps", "change", ""), *map(_line, good)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = ["  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in rows] if good else []
    lines += [
        f"{printable(lora.name)}: {printable(inspected.loading['words'])}"
        for inspected, lora in good
        if inspected.loading
    ]
    return "\n".join(lines + [f"error: {printable(bad.error)}" for bad in found if bad.lora is None])


def _line(item: tuple[Inspected, Lora]) -> tuple[str, ...]:
    found, lora = item
    name = printable(lora.name)
    algorithms = [
        ALGORITHMS.get(algorithm, algorithm) for algorithm in lora.algorithms if algorithm != "lora"
    ]
    return (
        name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 3] + "...",
        " ".join([lora.kind, *algorithms]),
        _span(layer.rank for layer in lora.layers),
        _span(layer.scaling for layer in lora.layers),
        str(len(lora.layers)),
        lora.facts.get("steps", "-")[:12],
        number(found.norm),
        count(len(lora.warnings), "warning") if lora.warnings else "",
    )


def _span(values: Iterable[float | None]) -> str:
    known = sorted({value for value in values if value is not None})
    return "-" if not known else "-".join(f"{value:g}" for value in dict.fromkeys((known[0], known[-1])))
