"""The page of a run: what it holds, what it lets nobody put in, and what it does in a browser."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_world import Visit
from page_world import page_document, photo

from lora_checks import report
from lora_checks.metrics.vectors import cosines
from lora_checks.report import html
from lora_checks.report.html import marks, scale, spectrum, thumbnails
from lora_checks.report.html.escape import script_json
from lora_checks.report.html.template import scripts
from lora_checks.store import Store, from_npy

STATIC = files("lora_checks.report.html").joinpath("static")
HOSTILE = (
    '</script><script>window.hacked=1</script>"\'><img src=x onerror="window.hacked=1"><!--<script>'
    "{{ 7*7 }}{% x %}${window.hacked=1}\u2028\u202e\x1b[31m\x00\udc80javascript:window.hacked=1//"
)


class Parts(HTMLParser):
    """The tags of a page with their attributes, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")
            self._in_script = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data

    def data(self, name: str) -> Any:
        places = [attributes.get("id") for tag, attributes in self.tags if tag == "script"]
        return json.loads(self.scripts[places.index(name)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    return page_document(folder)


@pytest.fixture(scope="module")
def page(document: dict[str, Any], folder: Path) -> Path:
    return html.write(document, folder / "report")


@pytest.fixture(scope="module")
def parts(page: Path) -> Parts:
    return Parts(page.read_text(encoding="utf-8"))


def hostile(document: dict[str, Any]) -> dict[str, Any]:
    """Every string of the document that people or files bring, with an attack in it."""
    bad = copy.deepcopy(document)
    run = bad["run"]
    renamed = {prompt["id"]: f"{prompt['id']} {HOSTILE}" for prompt in run["prompts"]}
    for prompt in run["prompts"]:
        prompt |= {"id": renamed[prompt["id"]], "text": HOSTILE, "tags": [HOSTILE]}
    run |= {"warnings": [HOSTILE], "command": HOSTILE, "versions": [HOSTILE], "trigger": HOSTILE}
    run["base"]["label"] = run["base"]["model"] = HOSTILE
    run["networks"] = {HOSTILE: {HOSTILE: HOSTILE}}
    run["policy"] = {"directory": HOSTILE, "digest": HOSTILE, "parts": {HOSTILE: HOSTILE}}
    run["elsewhere"] = {"caveat": HOSTILE}
    for image in run["folders"]["references"]["images"]:
        image["name"] = f"{image['name']} {HOSTILE}"

    def name(old: str) -> str:
        prompt, _, seed = old.rpartition("/")
        return f"{renamed[prompt]}/{seed}"

    _poison(bad["ranking"])
    for lora in bad["loras"]:
        lora |= {"name": f"{lora['name']} {HOSTILE}", "path": f"loras/{lora['name']} {HOSTILE}.safetensors"}
        lora |= {"facts": {HOSTILE: HOSTILE}, "missing": [HOSTILE], "images": [HOSTILE]}
        for picture in lora["pictures"]:
            picture |= {
                "name": name(picture["name"]),
                "prompt": renamed[picture["prompt"]],
                "recipe": HOSTILE,
            }
        for row in lora["rows"]:
            row |= {
                "check": f"{row['check']} {HOSTILE}",
                "reason": HOSTILE,
                "images": HOSTILE,
                "band": HOSTILE,
            }
            row["threshold"] |= {"why": HOSTILE, "name": HOSTILE}
            m = row["measurement"]
            m |= {"label": HOSTILE, "worst": [HOSTILE, 0.1], "nearest": [[HOSTILE, 9]]}
            m["per_image"] = [[name(image), value] for image, value in m["per_image"]]
            m["matches"] = [[name(image), f"{other} {HOSTILE}"] for image, other in m["matches"]]
    return bad


def _poison(value: Any) -> None:
    """Every text inside, but for the words that a program of ours chooses."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        if isinstance(item, str) and key not in ("by", "axis", "better", "outcome", "role"):
            value[key] = f"{item} {HOSTILE}"
        _poison(item)


# -- what is in the file


def test_the_verdict_comes_first_and_the_reasons_in_words(page: Path, document: dict[str, Any]) -> None:
    text = page.read_text(encoding="utf-8")
    body = text[text.index("<main") :]
    assert body.index("FAIL") < body.index("1 of 2 LoRAs did not pass") < body.index("<table")
    failed = [row for row in document["loras"][1]["rows"] if row["outcome"] == "FAIL"]
    assert failed
    for row in failed:
        assert row["reason"].partition(";")[0] in text


def test_nothing_is_loaded_from_anywhere_else(parts: Parts) -> None:
    places = [
        a[key] for _, a in parts.tags for key in ("src", "href", "srcset", "action", "data") if a.get(key)
    ]
    assert places
    assert [place for place in places if not place.startswith(("#", "data:"))] == []
    assert all(link == "" or link.startswith("images/") for link in parts.data("data")["links"])


def test_only_our_scripts_may_run(parts: Parts) -> None:
    (policy,) = [a["content"] for tag, a in parts.tags if a.get("http-equiv") == "Content-Security-Policy"]
    running = [
        text
        for text, a in zip(parts.scripts, (a for tag, a in parts.tags if tag == "script"), strict=True)
        if a.get("type") != "application/json"
    ]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in running]
    assert f"script-src {' '.join(f'{chr(39)}sha256-{found}{chr(39)}' for found in hashes)};" in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe-eval" not in policy


def test_no_script_of_ours_writes_markup() -> None:
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert word not in scripts()[-1].replace("no innerHTML anywhere", "")


def test_what_comes_from_outside_stays_text(document: dict[str, Any], folder: Path) -> None:
    plain = Parts(html.html(document, folder / "report"))
    text = html.html(hostile(document), folder / "report")
    text.encode()  # no lone surrogate
    found = Parts(text)
    assert sum(tag == "script" for tag, _ in found.tags) == sum(tag == "script" for tag, _ in plain.tags)
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in plain.tags} | {"p", "strong"}
    assert [a for _, a in found.tags if any(name.startswith("on") for name in a)] == []
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "{{ 7*7 }}" in json.dumps(found.data("data")["prompts"][0])
    assert all(link == "" or link.startswith("images/") for link in found.data("data")["links"])


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "\u2028\u2029", "\udc80", "a&b'c\"d"])
def test_json_in_a_script_tag_cannot_end_it(text: str) -> None:
    written = script_json({"x": text})
    assert json.loads(written) == {"x": text}
    assert written.isascii()
    assert not set("<>&'") & set(written)


def test_the_libraries_are_those_that_were_published() -> None:
    said = STATIC.joinpath("LICENSES.txt").read_text(encoding="utf-8")
    for name in ("d3.min.js", "plot.umd.min.js"):
        content = STATIC.joinpath(name).read_bytes()
        assert f"{hashlib.sha256(content).hexdigest()}  {name}" in said
        assert b"</script" not in content
        assert b"\r" not in content
    assert said.count("Permission to use, copy, modify, and/or distribute") == 2


# -- pictures


def test_each_image_has_its_base_its_nearest_reference_and_its_values(parts: Parts) -> None:
    data = parts.data("data")
    thumbs = parts.data("thumbnails")
    image = data["loras"][0]["images"][0]
    assert thumbs[image["picture"]].startswith("data:image/webp;base64,")
    assert thumbs[image["base"]].startswith("data:image/webp;base64,")
    check = [found["name"] for found in data["checks"]].index("likeness")
    number, name = image["nearest"][check]
    assert data["names"][number] == name
    assert name.startswith("references/")
    assert len(image["values"]) == len(data["checks"]) == 3


def test_pictures_lie_beside_the_page_in_full_size(
    parts: Parts, page: Path, document: dict[str, Any]
) -> None:
    data = parts.data("data")
    for own, image in zip(document["loras"][0]["pictures"], data["loras"][0]["images"], strict=True):
        beside = page.parent / data["links"][image["picture"]]
        assert hashlib.sha256(beside.read_bytes()).hexdigest() == own["sha256"]


def test_where_the_disk_has_no_hard_links_pictures_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("cross-device link")

    monkeypatch.setattr("os.link", refuse)
    document = page_document(tmp_path, ("one",), prompts=1, seeds=1)
    page = html.write(document, tmp_path / "report")
    own = Path(document["loras"][0]["pictures"][0]["file"])
    copied = [path for path in (page.parent / "images").iterdir() if path.read_bytes() == own.read_bytes()]
    assert len(copied) == 1
    assert not copied[0].samefile(own)
    assert not list((page.parent / "images").glob(".*"))


def test_a_second_page_is_made_without_the_pictures(tmp_path: Path) -> None:
    document = page_document(tmp_path, ("one",), prompts=2, seeds=1)
    first = html.html(document, tmp_path / "a")
    for lora in document["loras"]:
        for picture in lora["pictures"]:
            Path(picture["file"]).unlink()
    again = Parts(html.html(document, tmp_path / "b"))
    assert again.data("thumbnails") == Parts(first).data("thumbnails")
    assert again.data("data")["spectrum"] == Parts(first).data("data")["spectrum"]
    assert "" in again.data("data")["links"]


def test_a_picture_that_is_not_the_one_that_was_judged_is_not_shown(tmp_path: Path) -> None:
    document = page_document(tmp_path, ("one",), prompts=2, seeds=1)
    picture = document["loras"][0]["pictures"][0]
    Path(picture["file"]).write_bytes(Path(document["loras"][0]["pictures"][1]["file"]).read_bytes())
    found = Parts(html.html(document, tmp_path / "report"))
    number = found.data("data")["loras"][0]["images"][0]["picture"]
    assert found.data("thumbnails")[number] == ""
    assert found.data("data")["links"][number] == ""


def test_pictures_of_an_earlier_page_are_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    document = page_document(tmp_path, ("one",), prompts=1, seeds=1)
    beside = tmp_path / "report" / "images"
    beside.mkdir(parents=True)
    (beside / f"{'0a' * 10}.png").write_bytes(b"old")
    (beside / "holiday.png").write_bytes(b"mine")
    html.write(document, tmp_path / "report")
    assert not (beside / f"{'0a' * 10}.png").exists()
    assert (beside / "holiday.png").exists()


def test_thumbnails_are_as_large_as_their_number_allows() -> None:
    sample = [photo(seed, 256) for seed in range(3)]
    sizes = [thumbnails.choose_size(count, sample, budget=400_000) for count in (8, 40, 120)]
    assert sizes[0] > sizes[1] > sizes[2]
    for count, size in zip((8, 40, 120), sizes, strict=True):
        assert sum(len(thumbnails.encode(one, size)) for one in sample) / 3 * count < 400_000


def test_a_page_without_pictures_or_a_store_still_gives_the_verdict(tmp_path: Path) -> None:
    document = page_document(tmp_path, ("one",), prompts=1, seeds=1)
    document["run"]["store"] = str(tmp_path / "elsewhere")
    for lora in document["loras"]:
        lora["pictures"] = []
    assert "Is it the subject?" in html.write(document, tmp_path / "report").read_text(encoding="utf-8")
    assert not (tmp_path / "elsewhere").exists()


# -- several LoRAs, and the last approved release


@pytest.fixture(scope="module")
def run_of_steps(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("steps")
    document = page_document(folder, ("step-0300", "step-0200", "step-0100"), prompts=8, seeds=1)
    document["baseline"] = {
        "path": "gate/approved.json", "sha256": "ab" * 32, "lora": "old", "lora_sha256": "cd" * 32,
        "scale": 1.0,
        "finished": "2026-11-02T10:00:00+00:00", "policy": "ef" * 32, "note": "",
        "policy_differences": ["likeness: min 0.450 -> 0.500, tighter"], "notes": ["made with torch 2.13.0"],
        "pictures": [document["loras"][0]["pictures"][1] | {"name": "p0/0", "prompt": "p0", "seed": 0}],
        "rows": [{
            "lora": "step-0300", "check": "likeness", "metric": "similarity", "label": "similarity",
            "better": "higher", "kind": "images", "before": 0.8, "value": 0.75, "difference": -0.05,
            "low": -0.08, "high": -0.02, "confidence": 0.95, "sides": 2, "pairs": 8, "lost": 0, "found": 0,
            "absent": 0, "allowed": 0.02, "outcome": "FAIL", "reason": "0.050 worse, and 0.020 is allowed",
            "not_compared": "", "prompts": [["p3", 0.9, 0.7, -0.2], ["p1", 0.7, 0.8, 0.1]],
        }],
    }  # fmt: skip
    return document, folder


def test_the_leaderboard_and_the_curves_are_those_of_the_ranking(
    run_of_steps: tuple[dict[str, Any], Path], browser: Any
) -> None:
    document, folder = run_of_steps
    visit = Visit(browser, html.write(document, folder / "report").as_uri())
    board = document["ranking"]["leaderboard"]
    shown = visit.texts("#ranking tbody tr th")
    assert [text.partition(" ")[0] for text in shown] == [row["lora"] for row in board]
    assert "best" in shown[0]
    assert document["ranking"]["sentence"] in visit.page.inner_text("#ranking")
    visit.read_through()
    assert visit.page.locator("#curves svg.plot").count() == len(document["ranking"]["curves"]) > 0
    assert visit.complaints == []
    visit.context.close()


def test_the_approved_release_stands_beside_each_row(run_of_steps: tuple[dict[str, Any], Path]) -> None:
    document, folder = run_of_steps
    text = html.html(document, folder / "report")
    section = text[text.index('<section id="baseline"') :]
    section = section[: section.index("</section>")]
    for words in (
        "old cdcdcd, 2 Nov 2026",
        "-0.050",
        "worse",
        "[-0.080, -0.020]",
        "0.050 worse",
        "tighter",
        "p3",
    ):
        assert words in section, words
    assert section.index("p3") < section.index("p1")
    data = Parts(text).data("data")
    same = data["loras"][0]["images"]
    assert [image["approved"] for image in same] == [same[1]["picture"], *[None] * 7]


def test_a_reason_that_stops_several_rows_stands_there_once(document: dict[str, Any], tmp_path: Path) -> None:
    refused = copy.deepcopy(document)
    for row in refused["loras"][0]["rows"]:
        row |= {"outcome": "ERROR", "reason": "damaged: export it again", "measurement": None}
    text = html.html(refused, tmp_path)
    assert text.count("damaged: export it again") == 1
    checks = ", ".join(row["check"] for row in refused["loras"][0]["rows"])
    assert f"Nothing could be measured for: {checks}" in text


def test_a_run_that_judged_nothing_has_a_page(tmp_path: Path) -> None:
    document = report.build({"loras": [], "required": [], "finished": "2026-11-24T18:57:57+00:00"}, [])
    assert "no LoRA was judged" in html.write(document, tmp_path).read_text(encoding="utf-8")


def test_an_attack_through_the_approved_release_does_nothing(
    run_of_steps: tuple[dict[str, Any], Path], browser: Any
) -> None:
    document, folder = run_of_steps
    bad = hostile(document)
    approved = bad["baseline"]
    approved |= dict.fromkeys(("path", "lora", "lora_sha256", "finished", "note"), HOSTILE)
    approved |= {"policy_differences": [HOSTILE], "notes": [HOSTILE]}
    for row in approved["rows"]:
        row |= dict.fromkeys(("lora", "check", "label", "reason", "not_compared"), HOSTILE)
        row["prompts"] = [[HOSTILE, 0.9, 0.7, -0.2]]
    visit = Visit(browser, html.write(bad, folder / "hostile").as_uri())
    visit.read_through()
    assert "<script>window.hacked=1</script>" in visit.page.inner_text("#baseline")
    assert visit.page.evaluate("window.hacked") is None
    assert visit.complaints == []
    visit.context.close()


# -- what is computed


def row_of(document: dict[str, Any], check: str, which: int = 0) -> dict[str, Any]:
    return next(row for row in document["loras"][which]["rows"] if row["check"] == check)


@pytest.mark.parametrize(
    ("stat", "at", "limits", "bad", "good"),
    [
        ("mean", None, {"min": 0.5, "max": None}, 0.4, 0.6),
        ("worst_prompt", None, {"min": None, "max": 0.5}, 0.6, 0.4),
        ("share_at_least", 0.7, {"min": 0.9, "max": None}, 0.6, 0.8),
        ("share_at_least", 0.7, {"min": None, "max": 0.1}, 0.8, 0.6),
        ("share_at_most", 0.7, {"min": 0.9, "max": None}, 0.8, 0.6),
    ],
)
def test_an_image_is_marked_by_its_own_value(
    document: dict[str, Any], stat: str, at: float | None, limits: dict[str, Any], bad: float, good: float
) -> None:
    row = copy.deepcopy(row_of(document, "likeness"))
    row["measurement"] |= {"stat": stat, "at": at}
    row["threshold"] |= limits
    why, depth = marks.why(row), marks.distance(row)
    assert why(good) == ""
    assert why(bad).startswith(f"similarity {bad:.3f}, ")
    assert why(None) == "no value"
    assert (depth(bad) or 0) < 0 < (depth(good) or 0)


def test_without_a_face_says_so(document: dict[str, Any]) -> None:
    row = copy.deepcopy(row_of(document, "likeness"))
    row["measurement"] |= {"metric": "arcface", "stat": "missing"}
    assert marks.why(row)(None) == "no face"
    assert marks.why(row)(-1.0) == ""


def test_a_scale_puts_everything_in_order(document: dict[str, Any]) -> None:
    row = copy.deepcopy(row_of(document, "likeness"))
    row["measurement"] |= {"value": 0.6, "low": 0.55, "high": 0.7, "floor": 0.9}
    row["measurement"]["per_image"] = [["a", 0.4], ["b", 0.8], ["c", None]]
    drawn = scale.drawing(row)
    assert drawn is not None
    assert drawn.interval is not None
    assert drawn.spread is not None
    (limit,) = drawn.limits
    (floor,) = drawn.references
    inside = [
        drawn.spread[0],
        limit.x,
        drawn.interval[0],
        drawn.value,
        drawn.interval[1],
        drawn.spread[1],
        floor.x,
    ]
    assert inside == sorted(inside)
    assert 0 <= inside[0] < inside[-1] <= drawn.width
    assert drawn.forbidden == ((0.0, limit.x),)
    assert (
        drawn.words == "value 0.600, interval 0.550 to 0.700, min 0.500, images 0.400 to 0.800, floor 0.900"
    )


def test_a_row_without_a_number_has_no_scale(document: dict[str, Any]) -> None:
    row = copy.deepcopy(row_of(document, "likeness"))
    row["measurement"] = None
    assert scale.drawing(row) is None


def test_the_matrix_is_what_the_network_said(parts: Parts, document: dict[str, Any]) -> None:
    matrix = parts.data("data")["matrices"][0]
    store, network = Store(Path(document["run"]["store"])), "clip/1 decoder=1 0123456789abcdef"
    x, y = (
        np.stack([from_npy(store.array(network, picture["sha256"])) for picture in pictures])
        for pictures in (document["loras"][0]["pictures"], document["run"]["folders"]["references"]["images"])
    )
    cells = np.frombuffer(base64.b64decode(matrix["cells"]), np.uint8).reshape(len(x), len(y))
    found = matrix["low"] + cells / 254 * (matrix["high"] - matrix["low"])
    assert np.abs(found - cosines(x, y)).max() < (matrix["high"] - matrix["low"]) / 254
    assert len({(one["lora"], one["check"]) for one in parts.data("data")["matrices"]}) == 2


@pytest.mark.parametrize("cycles", [4, 12, 30])
def test_a_grating_has_its_power_at_its_own_frequency(cycles: int) -> None:
    wave = np.sin(2 * np.pi * cycles * np.arange(64) / 64)
    grating = np.broadcast_to((128 + 100 * wave)[None, :, None], (64, 64, 3)).astype(np.uint8)
    curve = spectrum.radial(grating, 64)
    assert curve is not None
    assert abs(np.log(spectrum.frequencies(64)[curve.argmax()] / (cycles / 64))) < 0.25


def test_blur_takes_fine_detail_and_grain_adds_it() -> None:
    from PIL import Image, ImageFilter

    plain = photo(1, 128, grain=6)
    blurred = np.asarray(Image.fromarray(plain).filter(ImageFilter.GaussianBlur(2)))
    curves = [spectrum.radial(one, 128) for one in (blurred, plain, photo(1, 128, grain=30))]
    fine = [float(curve[-8:].mean()) for curve in curves if curve is not None]
    assert fine == sorted(fine)
    assert fine[2] - fine[0] > 1
    assert spectrum.radial(plain, 256) is None


# -- in a browser


@pytest.fixture
def visit(browser: Any, page: Path) -> Iterator[Visit]:
    found = Visit(browser, page.as_uri())
    yield found
    assert found.complaints == []
    assert [address for address in found.requests if not address.startswith(("file:", "data:"))] == []
    found.context.close()


def values_shown(visit: Visit) -> list[float]:
    return [float(text) for text in visit.texts("#sheet .own") if text and text[0] in "-0123456789"]


def test_the_page_opens_without_a_complaint_and_shows_everything(visit: Visit) -> None:
    visit.read_through()
    assert visit.page.locator("#sheet .card").count() == 12
    assert visit.page.locator("#distribution-charts svg.plot").count() == 3
    assert visit.page.locator("#matrices canvas").count() == 2
    assert visit.page.locator("#spectrum-chart svg.plot").count() == 1
    broken = visit.page.evaluate("[...document.images].filter((i) => i.src && !i.naturalWidth).length")
    assert broken == 0


def test_the_worst_come_first_and_the_best_on_demand(visit: Visit) -> None:
    visit.page.select_option("#sort", "likeness")
    assert visit.texts("#sheet .own")[0] == "no value"
    assert values_shown(visit) == sorted(values_shown(visit))
    visit.page.click("#direction")
    assert values_shown(visit) == sorted(values_shown(visit), reverse=True)
    visit.page.select_option("#sort", "drift")  # lower is better
    assert values_shown(visit) == sorted(values_shown(visit))


def test_images_are_chosen_by_lora_words_and_marks(visit: Visit) -> None:
    visit.page.select_option("#which", "0")
    assert visit.page.locator("#sheet .card").count() == 6
    visit.page.fill("#find", "scene 2")
    assert visit.page.locator("#sheet .card").count() == 2
    visit.page.fill("#find", "")
    visit.page.select_option("#which", "-1")
    visit.page.check("#failing")
    marked = visit.page.locator("#sheet .card").count()
    assert 0 < marked < 12
    assert visit.page.locator("#sheet .card .marks b").count() >= marked
    visit.page.check("#grouped")
    assert visit.page.locator("#sheet .group").count() == 3


def test_a_row_leads_to_its_images(visit: Visit) -> None:
    visit.page.click("#lora-1 button[data-check='drift']")
    assert visit.page.input_value("#sort") == "drift"
    assert visit.page.input_value("#which") == "1"
    assert visit.page.locator("#sheet .card").count() == 6


def test_a_link_to_a_folded_lora_opens_it(visit: Visit) -> None:
    visit.page.evaluate("document.getElementById('lora-0').open = false")
    visit.page.click("#overview a[href='#lora-0']")
    visit.until("document.getElementById('lora-0').open")


def test_on_paper_everything_is_there(visit: Visit) -> None:
    visit.page.evaluate("document.getElementById('lora-0').open = false")
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    visit.page.emulate_media(media="print")
    visit.until("[...document.images].every((image) => image.naturalWidth > 0)")
    assert visit.page.locator("#distribution-charts svg.plot").count() == 3
    assert visit.page.locator("#lora-0 table").is_visible()
    assert not visit.page.locator("#tools").is_visible()


def test_side_by_side_by_keyboard(visit: Visit) -> None:
    visit.page.select_option("#sort", "likeness")
    names = visit.texts("#sheet .card .name")
    visit.page.locator("#sheet .card").first.focus()
    visit.page.keyboard.press("Enter")
    assert visit.page.locator("#compare").is_visible()
    assert names[0] in visit.page.inner_text("#compare-title")
    assert visit.page.locator("#compare figure").count() == 3
    assert "photo of a sks person" in visit.page.inner_text("#compare-body")
    visit.page.keyboard.press("ArrowRight")
    assert names[1] in visit.page.inner_text("#compare-title")
    title = visit.page.inner_text("#compare-title")
    visit.page.keyboard.press("ArrowDown")
    assert visit.page.inner_text("#compare-title").partition(", ")[2] == title.partition(", ")[2]
    assert visit.page.inner_text("#compare-title") != title
    visit.page.keyboard.press("Home")
    visit.page.keyboard.press("Escape")
    assert not visit.page.locator("#compare").is_visible()
    assert visit.page.evaluate("document.activeElement.className").startswith("card")


def test_the_picture_side_by_side_is_the_full_one(visit: Visit) -> None:
    visit.page.locator("#sheet .card").first.click()
    visit.until("document.querySelector('#compare img').naturalWidth > 0")
    assert "/images/" in visit.page.evaluate("document.querySelector('#compare img').currentSrc")


def test_a_matrix_is_read_by_keyboard(visit: Visit) -> None:
    visit.read_through()
    canvas = visit.page.locator("#matrices canvas").first
    canvas.focus()
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("ArrowDown")
    assert "p0/0 and references/01.png" in visit.page.locator("#matrices .readout").first.inner_text()
    visit.page.keyboard.press("Enter")
    assert "references/01.png" in visit.page.inner_text("#compare-body")


def test_the_theme_is_toggled_and_remembered(visit: Visit) -> None:
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    colours = {visit.page.evaluate(ground)}
    for word in ("light", "dark"):
        visit.page.click("#theme")
        assert word in visit.page.inner_text("#theme")
        colours.add(visit.page.evaluate(ground))
    assert len(colours) == 2
    visit.page.reload()
    assert "dark" in visit.page.inner_text("#theme")


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_hangs_over_the_edge(browser: Any, page: Path, width: int) -> None:
    found = Visit(browser, page.as_uri(), width)
    found.read_through()
    assert found.page.evaluate("document.documentElement.scrollWidth") <= width
    found.context.close()


def test_an_attack_in_any_field_does_nothing(browser: Any, document: dict[str, Any], folder: Path) -> None:
    page = html.write(hostile(document), folder / "hostile")
    found = Visit(browser, page.as_uri())
    found.read_through()
    for choice in ("#grouped", "#failing"):
        found.page.check(choice)
    found.page.uncheck("#failing")
    found.page.locator("#sheet .card").first.click()
    assert found.page.locator("#compare").is_visible()
    assert found.page.evaluate("window.hacked") is None
    assert found.page.locator("img[src='x']").count() == 0
    assert "<script>window.hacked=1</script>" in found.page.inner_text("#compare-body")
    assert found.complaints == []
    found.context.close()
