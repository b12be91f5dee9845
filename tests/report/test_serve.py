"""`python -m lora_checks serve DIR`: the page of a run while it goes on."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from browser_world import Visit
from page_world import page_document, photo
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from report_world import whole

from lora_checks.core.records import Prompt
from lora_checks.images.plan import noise_seed
from lora_checks.record import document
from lora_checks.report.html import growing, server


class Site:
    """A report folder whose run goes on, and its server."""

    def __init__(self, folder: Path) -> None:
        self.whole = page_document(folder, ("good",), prompts=3, seeds=2)
        self.whole["run"] = whole(self.whole["run"]) | {
            "started": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        }
        self.folder, self.store = folder / "report", Path(self.whole["run"]["store"])
        self.folder.mkdir()
        self.server = server.serve(self.folder, 0)
        self.port = int(self.server.server_address[1])
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def begin(self) -> None:
        """The journal of a run with one verdict, on the file."""
        lora = self.whole["loras"][0]
        run = {key: value for key, value in self.whole["run"].items() if key != "finished"}
        run |= {"loras": [{"name": "good", "path": lora["path"], "sha256": ""}]}
        run["required"] = [["good", row["check"]] for row in lora["rows"]]
        self.journal({"run": run})
        self.verdict(0)

    def verdict(self, number: int) -> None:
        row = self.whole["loras"][0]["rows"][number]
        verdict = {k: v for k, v in row.items() if k not in ("band", "direction", "margin", "power")}
        self.journal({"verdict": json.dumps(verdict)})

    def journal(self, line: dict[str, Any]) -> None:
        with (self.folder / "verdicts.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def image(self, number: int) -> None:
        """As the gate puts it into the store."""
        prompt, seed = self.whole["run"]["prompts"][number], 1
        name = f"{number:064x}"
        recipe = {
            "prompt_id": prompt["id"],
            "prompt": prompt["text"],
            "digest": name,
            "lora_sha256": "9c1e" * 16,
        }
        recipe["seed"] = noise_seed(Prompt(prompt["id"], ""), seed)
        info = PngInfo()
        info.add_itxt("lora_checks", json.dumps(recipe))
        path = self.store / "images" / name[:2] / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(number, 64)).save(path, pnginfo=info)
        with (self.store / "made.jsonl").open("a") as file:
            file.write(json.dumps({"image": name}) + "\n")

    def get(self, path: str, host: str = "") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{self.port}"})
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def version(self) -> str:
        return str(json.loads(self.get("/state")[1])["version"])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(server, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(server, "SHARE", 0)
    found = Site(tmp_path)
    yield found
    found.server.shutdown()
    found.server.server_close()
    found.thread.join()


def test_before_the_first_verdict_it_waits(site: Site) -> None:
    status, page = site.get("/")
    assert status == 200
    assert b"No verdict yet" in page
    assert b'http-equiv="refresh"' in page


def test_it_shows_what_is_judged_so_far_and_notices_more(site: Site) -> None:
    site.begin()
    page = site.get("/")[1].decode()
    assert "Running: 1 of 3 rows judged, 0 of 6 images" in page
    assert "good.safetensors, 1 of 3 rows judged so far" in page
    before = site.version()
    assert before == site.version()
    site.verdict(1)
    assert site.version() != before
    assert "2 of 3 rows judged" in site.get("/")[1].decode()


def test_images_are_shown_as_they_come_from_the_store(site: Site) -> None:
    site.begin()
    site.get("/")
    before = site.version()
    site.image(0)
    site.image(2)
    assert site.version() != before
    page = site.get("/")[1].decode()
    assert "2 of 6 images" in page
    link = re.search(r'"(images/[0-9a-f]{20}\.png)"', page)
    assert link is not None
    status, picture = site.get(f"/{link[1]}")
    assert status == 200
    assert picture.startswith(b"\x89PNG")


def test_images_of_an_earlier_run_are_not_taken_for_this_ones(site: Site) -> None:
    site.begin()
    site.image(0)
    old = (datetime.now(UTC) - timedelta(days=1)).timestamp()
    for path in (site.store / "images").rglob("*.png"):
        os.utime(path, (old, old))
    assert growing.grown(document.read(site.folder))["loras"][0].get("pictures") in (None, [])


@pytest.mark.parametrize(
    "path", ["/verdicts.jsonl", "/images/../verdicts.jsonl", "/images/%2e%2e/verdicts.jsonl", "/etc/passwd"]
)
def test_nothing_else_of_the_disk_is_served(site: Site, path: str) -> None:
    site.begin()
    assert site.get(path)[0] == 404


def test_only_its_own_machine_may_ask(site: Site) -> None:
    assert site.get("/", host="evil.example:80")[0] == 403
    assert site.get("/state", host=f"localhost:{site.port}")[0] == 200
    assert site.server.server_address[0] == "127.0.0.1"


def test_a_page_in_the_browser_follows_and_stays_where_it_was(site: Site, browser: Any) -> None:
    site.begin()
    for number in range(3):
        site.image(number)
    visit = Visit(browser, f"http://127.0.0.1:{site.port}/")
    assert "Running: 1 of 3" in visit.page.inner_text(".live")
    visit.page.fill("#find", "p1")
    visit.page.evaluate("scrollTo(0, 300)")
    site.verdict(1)
    visit.until("document.querySelector('.live')?.textContent.includes('2 of 3')")
    visit.until("scrollY === 300")
    assert visit.page.input_value("#find") == "p1"
    assert visit.page.locator("#sheet .card").count() == 1
    assert visit.complaints == []
    visit.context.close()


def _hear_ctrl_c() -> None:
    """Tests that run in the background ignore it, and their children with them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_the_command_says_where_and_stops_quietly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lora_checks", "serve", str(tmp_path), "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_ctrl_c,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert re.match(r"http://127\.0\.0\.1:\d+/  \(stop with Ctrl-C\)", line)
    assert errors == ""
    assert process.returncode == 0


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lora_checks", "serve", str(tmp_path / "no")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path / 'no'} is not a folder; name the report folder of a run\n"
