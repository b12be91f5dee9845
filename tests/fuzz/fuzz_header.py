"""Coverage-guided fuzzing of the header reader and of `inspect`, against the safetensors library.

    pip install atheris
    python tests/fuzz/fuzz_header.py --seconds 600

A crash is any error but `LoraFileError`, a file that is read here and refused by safetensors, or one that
both read differently. Half of the inputs are made with the length of the header put right, so that the JSON
is what varies. Prints the number of executions, the coverage and what was found; inputs that crash stay in
``--corpus``. Not part of the test suite.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent.parent


def seeds(folder: Path) -> None:
    """The files of the corpus that are small, and good ones."""
    sys.path.insert(0, str(TESTS))
    from corpus import ENTRIES
    from corpus.entry import GOOD, kohya, layer, peft
    from corpus.kinds import CLASSES, cloneofsimo
    from safetensors.numpy import save

    good = [GOOD, save(kohya()), save(layer(), peft(lora_alpha=4, r=4, alpha_pattern={"to_q": 2}))]
    good += [save(cloneofsimo(), CLASSES), save(layer("base_model.model.double_blocks.0.img_attn.proj"))]
    files = [entry.content for entry in ENTRIES.values() if isinstance(entry.content, bytes)]
    for number, data in enumerate(good + files):
        if len(data) < 4000:
            (folder / f"seed-{number}").write_bytes(data)


def child(folder: str, arguments: list[str]) -> None:
    """libFuzzer takes the process over and ends it. ``folder``: where the file is that `inspect` sees."""
    import atheris

    sys.path.insert(0, str(TESTS))
    # Not `errors`: `except` compares classes, and an instrumented module would be another one.
    names = ["lora_checks.lora.header", "lora_checks.lora.header_json", "lora_checks.lora.format"]
    with atheris.instrument_imports(include=[*names, "json.decoder", "lora_checks.lora.file"]):
        import lora_checks.lora.file
    from test_lora_header import compare

    from lora_checks.core.errors import LoraFileError

    path = Path(folder) / "a.safetensors"

    def one(data: bytes) -> None:
        compare(data)
        path.write_bytes(data)
        try:
            lora_checks.lora.file.inspect(path, "a")
        except LoraFileError:
            return

    def mutated(data: bytes, longest: int, seed: int) -> bytes:
        length = int.from_bytes(data[:8], "little")
        if seed % 2 or length > len(data) - 8 or longest < 16:
            return atheris.Mutate(data, longest)
        text = atheris.Mutate(data[8 : 8 + length], longest - 8)
        return (len(text).to_bytes(8, "little") + text + data[8 + length :])[:longest]

    atheris.Setup([sys.argv[0], *arguments], one, custom_mutator=mutated)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, help="folder of inputs, kept; a temporary one if not given")
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.child[0], options.child[1:])
        return
    folder = options.corpus or Path(tempfile.mkdtemp(prefix="fuzz-header-"))
    folder.mkdir(parents=True, exist_ok=True)
    seeds(folder)
    limits = [f"-max_total_time={options.seconds}", "-max_len=4096", "-rss_limit_mb=2048", "-timeout=10"]
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as scratch:
        command = [sys.executable, __file__, "--child", scratch, *limits, "-print_final_stats=1"]
        run = subprocess.run(
            [*command, f"-artifact_prefix={folder}/", str(folder)],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    report(run.stderr, folder, options.seconds, run.returncode)
    sys.exit(run.returncode)


def report(log: str, folder: Path, seconds: int, code: int) -> None:
    executions = re.findall(r"stat::number_of_executed_units:\s+(\d+)", log)
    coverage = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log)
    crashes = [path.name for path in folder.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-"))]
    count = int(executions[-1]) if executions else 0
    edges, features, inputs = coverage[-1] if coverage else ("?", "?", "?")
    sys.stdout.write(
        f"{count:,} executions in {seconds} s, {edges} edges, {features} features, {inputs} inputs kept, "
        f"{len(crashes)} crashes\n"
    )
    if code:
        sys.stdout.write(log[-4000:] + f"\n{folder}: {', '.join(crashes)}\n")


if __name__ == "__main__":
    main()
