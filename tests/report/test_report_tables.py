"""The table for pandas is written without pandas, and every value is in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lora_checks.report import tables

NONE_OF_THEM: list[Any] = [None] * 9
NUMBERS = ([1.5, None, float("nan"), float("inf"), -0.0, 3], [*map(float, range(17))], NONE_OF_THEM, [])
TEXTS = (["ä€", None, "", "x" * 300], [None] * 8 + ["last"], NONE_OF_THEM, [])
WHOLE = ([2**62, -3, None, 0], NONE_OF_THEM, [])


def test_a_column_is_the_one_that_pyarrow_makes() -> None:
    pa = pytest.importorskip("pyarrow")
    for kind, columns in ((pa.float64(), NUMBERS), (pa.string(), TEXTS), (pa.int64(), WHOLE)):
        for values in columns:
            found, expected = tables._column(values, kind), pa.array(values, kind)
            found.validate(full=True)
            assert (found.type, found.null_count) == (kind, expected.null_count)
            assert repr(found.to_pylist()) == repr(expected.to_pylist())  # NaN is not equal to itself


@pytest.mark.parametrize("images", [0, 3])
def test_pandas_is_not_imported(tmp_path: Path, images: int) -> None:
    """Importing it would take longer than writing the table."""
    pq = pytest.importorskip("pyarrow.parquet")
    pictures = [[f"p/{i}", None if i == 1 else 0.25 * i] for i in range(images)]
    measurement = {"matches": [], "per_image": pictures, "metric": "lpips"}
    row = {"check": "near", "measurement": measurement, "required": True, "outcome": "PASS"}
    lora = {"name": "a", "path": "a.safetensors", "outcome": "PASS", "missing": [], "rows": [row]}
    document = {"run": {}, "loras": [lora]}
    code = (
        "import sys; from pathlib import Path; from lora_checks.report import tables; "
        f"tables.write({document!r}, Path({str(tmp_path)!r})); sys.exit('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = pq.read_table(tmp_path / tables.PARQUET)
    assert table.column_names[: len(tables.COLUMNS)] == list(tables.COLUMNS)
    assert table["value"].to_pylist() == [value for _, value in pictures]
    assert table["seed"].to_pylist() == list(range(images))
