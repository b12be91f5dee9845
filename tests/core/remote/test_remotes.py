"""Put-if-absent on a real S3-protocol server and in a folder; a proxy in front of the server makes faults."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_world import KEY, S3, SECRET, Proxy, first, one_in, proxied

from lora_checks.core.errors import ConfigError, PrerequisiteError, StoreError
from lora_checks.core.remote import Remote, open_remote
from lora_checks.core.remote.place import Place, bytes_of, place_of, refuse
from lora_checks.core.remote.retries import Patience

HASTY = Patience(attempts=6, first=0.001, longest=0.01, timeout=2)
NAME = "images/ab/cd.png"


@pytest.fixture(params=["s3", "file"])
def remote(request: pytest.FixtureRequest, tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Remote:
    return open_remote(s3.url(monkeypatch) if request.param == "s3" else f"file://{tmp_path}/nfs", HASTY)


@pytest.fixture
def proxy(s3: S3) -> Iterator[Proxy]:
    with proxied(s3.port) as proxy:
        proxy.slow = 3.0
        yield proxy


@pytest.fixture
def faulty(s3: S3, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Remote:
    return open_remote(s3.url(monkeypatch, proxy.port), HASTY)


def test_the_first_entry_stays_until_it_is_deleted(remote: Remote) -> None:
    assert remote.put(NAME, b"first")
    assert not remote.put(NAME, b"second")
    assert remote.get(NAME) == b"first"
    assert remote.put(NAME, b"third", replace=True)
    assert remote.get(NAME) == b"third"
    remote.delete(NAME)
    remote.delete(NAME)
    assert not remote.has(NAME)
    with pytest.raises(FileNotFoundError):
        remote.get(NAME)


def test_a_listing_has_names_sizes_and_times(remote: Remote) -> None:
    assert list(remote.entries("leases")) == []
    for name in ("images/ab/one.png", "images/cd/two.png", "arrays/x.npy"):
        remote.put(name, name.encode())
    entries = {entry.name: entry for entry in remote.entries()}
    assert sorted(entries) == ["arrays/x.npy", "images/ab/one.png", "images/cd/two.png"]
    assert entries["arrays/x.npy"].size == len("arrays/x.npy")
    assert entries["arrays/x.npy"].written > 1.7e9
    assert [entry.name for entry in remote.entries("arrays")] == ["arrays/x.npy"]
    assert remote.has("arrays/x.npy")


@pytest.mark.parametrize("fault", ["500", "503 after 0", "cut", "lost", "429", "409"])
def test_trouble_that_passes_is_not_noticed(faulty: Remote, proxy: Proxy, fault: str) -> None:
    proxy.fault = first(2, fault, "PUT")
    faulty.put(NAME, b"content" * 1000)
    proxy.fault = first(2, fault, "GET")
    assert faulty.get(NAME) == b"content" * 1000
    assert proxy.faults[fault] == 4


@pytest.mark.parametrize("fault", ["torn", "slow"])
def test_half_a_reply_and_a_late_one_are_asked_for_again(faulty: Remote, proxy: Proxy, fault: str) -> None:
    faulty.put(NAME, b"content" * 1000)
    proxy.fault = first(1, fault, "GET")
    assert faulty.get(NAME) == b"content" * 1000
    assert proxy.faults[fault] == 1


def test_one_request_in_ten_fails_and_nothing_is_lost(faulty: Remote, proxy: Proxy) -> None:
    proxy.fault = one_in(10)
    contents = {f"arrays/{i}.npy": bytes([i]) * 5000 for i in range(60)}
    for name, content in contents.items():
        faulty.put(name, content)
    assert {name: faulty.get(name) for name in contents} == contents
    assert sum(proxy.faults.values()) > 5


def test_trouble_that_stays_names_entry_status_and_what_to_do(faulty: Remote, proxy: Proxy) -> None:
    proxy.fault = lambda method, _: "503 after 0" if method == "GET" else ""
    with pytest.raises(StoreError, match=rf"{NAME}: HTTP 503 \w*, 6 times in a row; run again when"):
        faulty.get(NAME)
    assert proxy.seen["GET"] == HASTY.attempts


def test_the_server_says_how_long_to_wait() -> None:
    patience = Patience(first=0.2, longest=20)
    assert patience.wait(1, asked=7.0) == 7.0
    assert patience.wait(1, asked=3600.0) == 20.0
    assert 0.4 <= patience.wait(3, asked=0.0) <= 0.8
    assert len({patience.wait(3, asked=0.0) for _ in range(9)}) > 1


@pytest.mark.parametrize(("status", "advice"), [("403", "shared-store.md"), ("400", "region")])
def test_a_refusal_is_not_repeated_and_tells_no_secret(
    faulty: Remote, proxy: Proxy, status: str, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    proxy.fault = lambda *_: status
    with pytest.raises(StoreError, match=rf"{NAME}: HTTP {status} .*{advice}") as caught:
        faulty.put(NAME, b"content")
    assert proxy.seen["PUT"] == 1
    assert caught.value.__suppress_context__
    for secret in (KEY, SECRET):
        assert secret not in f"{caught.value}{caplog.text}"


def test_without_credentials_the_error_says_so(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = s3.url(monkeypatch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(StoreError, match="NoCredentialsError; this machine or job has no credentials"):
        open_remote(url, HASTY).put(NAME, b"content")


def test_a_bucket_that_is_not_there_is_named(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.url(monkeypatch)
    with pytest.raises(StoreError, match="s3://no-such-one/x: there is no such bucket"):
        open_remote("s3://no-such-one/x", HASTY).put(NAME, b"content")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://host/x", "http:// has no conditional writes here; use s3://"),
        ("s3://user:hunter2@bucket/x", "credentials belong where"),
        ("az://box/x?sig=hunter2", "credentials belong where"),
        ("s3://", "names no bucket"),
    ],
)
def test_a_wrong_url_is_refused_and_not_quoted(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        refuse(url)
    assert "hunter2" not in str(caught.value)


def test_a_place_has_a_folder_for_each_url_and_kind_of_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    one, other = (place_of(f"s3://bucket/{name}/", tmp_path) for name in ("a", "b"))
    assert one.url == "s3://bucket/a"
    assert one.root.parent == other.root.parent == tmp_path / "cache" / "lora_checks" / "stores"
    assert one.root != other.root
    assert one.on("cpu").url == "s3://bucket/a/cpu"
    assert place_of("s3://bucket/a", tmp_path, "mine", "2GB").root == tmp_path / "mine" / one.root.name
    assert place_of(None, tmp_path) == Place(tmp_path / ".lora_checks")
    assert place_of("kept", tmp_path).on("cuda:0") == Place(tmp_path / "kept")
    with pytest.raises(ConfigError, match="--lora-store-cache is for a store at a URL"):
        place_of("kept", tmp_path, "mine")


def test_sizes_are_read() -> None:
    assert (bytes_of("500MB"), bytes_of("1.5 gb")) == (500_000_000, 1_500_000_000)
    with pytest.raises(ConfigError, match="'50' is not a size; write 500MB"):
        bytes_of("50")


@pytest.mark.parametrize("url", ["gs://bucket/x", "az://box/x", "s3://bucket/x"])
def test_a_missing_package_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gcsfs", "adlfs", "s3fs"):
        monkeypatch.setitem(sys.modules, name, None)
    import fsspec

    monkeypatch.setattr(fsspec.core, "filesystem", lambda *_, **__: pytest.fail("opened"))
    known = sys.modules["fsspec.registry"]._registry
    monkeypatch.delitem(known, "s3", raising=False)  # other tests opened it
    with pytest.raises(PrerequisiteError, match=rf"{url} needs .+; pip install 'lora-checks\[store\]'"):
        open_remote(url)


def test_a_local_store_imports_no_client(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lora_checks.core.remote.place import open_store\n"
        f"root = Path({str(tmp_path)!r}) / 'store'; open_store(root, 'cpu').put(root / 'x', b'')\n"
        "print([m for m in ('fsspec', 's3fs', 'botocore', 'aiohttp', 'lora_checks.core.remote.shared')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
