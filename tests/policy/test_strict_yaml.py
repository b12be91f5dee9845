"""YAML that two readers could understand differently is refused, with the place."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lora_checks.core.errors import ConfigError
from lora_checks.policy.keys import Key, Keys
from lora_checks.policy.strict_yaml import MAX_BYTES, Value, load


def read(folder: Path, text: str | bytes) -> Value:
    path = folder / "p.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-12", -12),
        ("0.25", 0.25),
        ("1.0e-3", 0.001),
        (".5", 0.5),
        ("true", True),
        ("False", False),
        ("'012'", "012"),
        ('"no"', "no"),
        ("plain text, with comma", "plain text, with comma"),
        ("3f2a91", "3f2a91"),
        ("v1.5", "v1.5"),
        ("[1, [a, b]]", [1, ["a", "b"]]),
        ("{a: 1}", {"a": 1}),
        ("{}", {}),
        ('""', ""),
        (">-\n  two\n  lines", "two lines"),
        ("größe", "größe"),
    ],
)
def test_values_that_mean_one_thing(tmp_path: Path, text: str, value: object) -> None:
    found = read(tmp_path, f"key: {text}\n").mapping()["key"].plain()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3: a: the key is already in line 1"),
        ("a:\n  b: 1\n  b: 1\n", ":3: a.b: the key is already in line 2"),
        ("a: &x 1\n", ":1: anchors"),
        ("a: 1\nb: *x\n", ":2: anchors"),
        ("b:\n  <<: {a: 1}\n", ":2: b: '<<' is special in YAML (merge)"),
        ("a: !!str 1\n", ":1: the tag 'tag:yaml.org,2002:str' is not allowed"),
        ("a: !!python/object:os.system x\n", ":1: the tag 'tag:yaml.org,2002:python/object:os.system'"),
        ("a: ! 1\n", ":1: the tag '!' is not allowed"),
        ("a: .nan\n", ":1: a: must be a finite number, not .nan"),
        ("a: [1, -.INF]\n", ":1: a[1]: must be a finite number, not -.INF"),
        ("a: 1.0e+999\n", ":1: a: 1.0e+999 is too large"),
        ("a: no\n", ":1: a: 'no' is a truth value to some"),
        ("a: On\n", ":1: a: 'On' is a truth value to some"),
        ("on: 1\n", ":1: 'on' is a truth value to some"),
        ("a: 012\n", ":1: a: '012' is another number to some"),
        ("a: 0o12\n", ":1: a: '0o12' is another number to some"),
        ("a: 0x1F\n", ":1: a: '0x1F' is another number to some"),
        ("a: 1_000\n", ":1: a: '1_000' is another number to some"),
        ("a: 1:30\n", ":1: a: '1:30' is another number to some"),
        ("a: 1e-3\n", ":1: a: '1e-3' is text to some YAML readers; write 1.0e-3"),
        ("a: 1.5e3\n", ":1: a: '1.5e3' is text to some YAML readers; write 1.5e+3"),
        ("a: 2024-01-01\n", ":1: a: '2024-01-01' is special in YAML (timestamp); quote it"),
        ("a:\n", ":1: a: has no value"),
        ("a: ~\n", ":1: a: '~' is not a value"),
        ("a: null\n", ":1: a: 'null' is not a value"),
        ("1: a\n", ":1: a key must be text, not 1"),
        ("? [a]\n: b\n", ":1: a key must be text, not a list"),
        ("a:\n\tb: 1\n", ":2: tab in the indentation"),
        ("a:\tb\n", ":1: "),
        ("a: b: c\n", ":1: not YAML: a second ': '"),
        ("a: 'x\n", ":2: not YAML: "),
        ("a: 1\n---\nb: 1\n", ":2: a second document starts here"),
        ("", ": the file is empty"),
        ("# only a comment\n", ": the file is empty"),
        ("- a\n", ":1: must be a mapping of keys to values, not a list"),
        ("text\n", ":1: must be a mapping of keys to values, not the text 'text'"),
        (b"a: 1\nb: \xff\n", ":2: not UTF-8 (byte 0xff)"),
        (b"a: 1\nb: \x00\n", ":2: the character U+0000 is not allowed"),
        ('a: "x\\0"\n', ":1: a: contains the control character U+0000"),
        ('a: "\\ud800"\n', ":1: a: contains the control character U+D800"),
        ("a: " + "[" * 2000 + "]" * 2000 + "\n", ":1: nested more than 20 deep"),
        ("a: " + "x" * MAX_BYTES, ": larger than 1,000,000 bytes"),
    ],
)
def test_anything_else_is_refused_with_its_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"p.yaml{message}")):
        read(tmp_path, text)


def test_aliases_cannot_multiply(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    with pytest.raises(ConfigError, match="anchors"):
        read(tmp_path, "\n".join(lines))


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfa: 1\n").plain() == {"a": 1}


def keys(required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> Keys:
    listed = [(name, True) for name in required] + [(name, False) for name in optional]
    return Keys("of this test", tuple(Key(name, {}, "For this test.", must) for name, must in listed))


def test_unknown_keys_name_the_nearest(tmp_path: Path) -> None:
    value = read(tmp_path, "metric: x\nmaxx: 1\n")
    with pytest.raises(ConfigError, match=r"p\.yaml:2: maxx: unknown key; did you mean 'max'\?"):
        value.table(keys(required=("metric",), optional=("max",)))


def test_letters_of_another_alphabet_are_named(tmp_path: Path) -> None:
    value = read(tmp_path, "m\N{CYRILLIC SMALL LETTER A}x: 1\n")
    with pytest.raises(ConfigError, match=r"contains CYRILLIC SMALL LETTER A\); did you mean 'max'"):
        value.table(keys(optional=("max",)))


def test_a_missing_key_is_named_at_its_mapping(tmp_path: Path) -> None:
    value = read(tmp_path, "a:\n  b: 1\n").mapping()["a"]
    with pytest.raises(ConfigError, match=r"p\.yaml:1: a: 'why' is missing"):
        value.table(keys(required=("why",), optional=("b",)))


@pytest.mark.parametrize(
    ("text", "reader", "message"),
    [
        ("1", "text", "must be text, not 1; put it in quotes"),
        ("true", "text", "must be text, not true"),
        ('" "', "text", "must not be empty"),
        ("nan", "number", "must be a number, not the text 'nan'"),
        ("true", "number", "must be a number, not true"),
        ("[1]", "number", "must be a number, not a list"),
        ("{a: 1}", "items", "must be a list, not a mapping"),
        ("abc", "items", "must be a list, not the text 'abc'"),
        ("[]", "mapping", "must be a mapping of keys to values, not a list"),
        ("1", "flag", "must be true or false, not 1"),
    ],
)
def test_values_of_another_type_are_refused(tmp_path: Path, text: str, reader: str, message: str) -> None:
    value = read(tmp_path, f"key: {text}\n").mapping()["key"]
    with pytest.raises(ConfigError, match=re.escape(f"p.yaml:1: key: {message}")):
        getattr(value, reader)()


def test_whole_numbers_and_ranges(tmp_path: Path) -> None:
    entries = read(tmp_path, "a: 1.0\nb: 0\nc: 1.5\nd: 3\n").mapping()
    assert entries["d"].integer(1, 3) == 3
    with pytest.raises(ConfigError, match=r"a: must be a whole number, not 1\.0"):
        entries["a"].integer(1)
    with pytest.raises(ConfigError, match="b: must be at least 1, not 0"):
        entries["b"].integer(1)
    with pytest.raises(ConfigError, match=r"c: must be from 0 to 1, not 1\.5"):
        entries["c"].number(0, 1)


@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=60) | st.text("ab:-[]{}&*!|>'\"%#?,\n 01.e~<=")
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_read_or_refused(tmp_path: Path, text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(read(tmp_path, text).plain(), dict)


def test_reading_a_policy_needs_no_numpy() -> None:
    """Errors of a policy are shown at once, so its reader stays light."""
    code = "import sys, lora_checks.policy.reading, lora_checks.lora.file; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
