"""The app in a real browser: drop a file, let it run, ask, open the source; by keyboard, in both themes, wide and narrow.

Screenshots lie in the test's folder (``pytest --basetemp``), for people to look at.
"""

import http.client
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from apps import app_server, exposition
from inference.generation.budget import Spent
from inference.generation.calls import Admitted, Ask, Ended
from inference.generation.ledger import Ledger
from inference.requests import Origin
from tests.app.conftest import ENVIRONMENT, PROJECT, cortex
from tests.unit.apps.test_metrics import parsed

CHROMIUM = Path(os.environ.get("CORTEX_CHROMIUM", "/usr/bin/chromium"))
IN_CI = os.environ.get("CI") == "true"
PATIENCE_MS = 60_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not CHROMIUM.exists() and not IN_CI,
        reason=f"no browser at {CHROMIUM}: install Debian's chromium, or name one in CORTEX_CHROMIUM",
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


class App:
    """A served app over a data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        with socket.socket() as probe:
            probe.bind((app_server.HOST, 0))
            self.port = probe.getsockname()[1]
        environment = os.environ | ENVIRONMENT | {"CORTEX_DATA": str(data), "PYTHONPATH": str(PROJECT)}
        self.log = data.parent / "app.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                app_server.command(self.port), cwd=PROJECT, env=environment, stdout=out, stderr=out
            )
        self._wait()

    @property
    def url(self) -> str:
        return f"http://{app_server.HOST}:{self.port}"

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < end:
            connection = http.client.HTTPConnection(app_server.HOST, self.port, timeout=2)
            try:
                connection.request("GET", "/_stcore/health")
                if connection.getresponse().status == http.client.OK:
                    return
            except OSError:
                time.sleep(0.1)
            finally:
                connection.close()
        pytest.fail(f"the app did not come up: {self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path / "data")
    yield app
    app.stop()


@pytest.fixture(scope="module")
def served_sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data = tmp_path_factory.mktemp("served") / "data"
    shutil.copytree(PROJECT / "data" / "sample", data / "inbox" / "sample")
    cortex(data, "run")
    cortex(data, "eval", "--accept-candidates")
    cortex(data, "eval")
    app = App(data)
    yield app
    app.stop()


class Outside:
    """What a page asked for, besides the app itself."""

    def __init__(self, page: Page, url: str) -> None:
        self.asked: list[str] = []
        page.on(
            "request", lambda request: self.asked.append(request.url) if self._is_outside(request.url, url) else None
        )

    @staticmethod
    def _is_outside(asked: str, url: str) -> bool:
        return not asked.startswith((url, url.replace("http", "ws", 1), "data:", "blob:"))


def settle(page: Page) -> None:
    """Wait until the page is drawn: a button may be replaced under the pointer before."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=PATIENCE_MS)


def test_drop_run_ask_and_open_the_source(served: App, browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PATIENCE_MS)
    outside = Outside(page, served.url)
    page.goto(served.url)
    expect(page.get_by_text("Nothing is here yet")).to_be_visible(timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "empty.png")
    page.get_by_role("textbox", name="Name of the new corpus").fill("notes")
    note = tmp_path / "lighthouse.md"
    note.write_text("# Keepers\n\nThe lamp <b>of</b> the lighthouse burned *colza* oil.\n", encoding="utf-8")
    page.locator("input[type=file]").set_input_files(note)
    expect(page.get_by_text("lighthouse.md")).to_be_visible()
    page.get_by_role("button", name="Add and run").click()
    expect(page.get_by_text("1 file written to the inbox")).to_be_visible(timeout=PATIENCE_MS)
    assert (served.data / "inbox" / "notes" / "lighthouse.md").read_bytes() == note.read_bytes()
    expect(page.get_by_text("Latest runs")).to_be_visible(timeout=PATIENCE_MS)  # by itself, when the run is over
    expect(page.locator('.cx-tile[title^="rows of silver/embeddings"] b')).to_have_text("1", timeout=PATIENCE_MS)
    expect(page.get_by_text("Nothing runs now")).to_be_visible(timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "after-the-run.png")
    page.get_by_role("link", name="Search").click()
    question = page.get_by_role("searchbox", name="Question")
    expect(question).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.type("which oil did the lamp burn?")
    page.keyboard.press("Enter")
    hit = page.locator(".cx-hit").first
    expect(hit).to_contain_text("notes/lighthouse.md:1-3", timeout=PATIENCE_MS)
    expect(hit).to_contain_text("The lamp <b>of</b> the lighthouse")
    expect(hit.locator("b", has_text="of")).to_have_count(0)
    expect(hit.locator("mark", has_text="lamp")).to_be_visible()
    assert "q=which+oil" in page.url
    settle(page)
    page.screenshot(path=tmp_path / "answer.png")
    page.get_by_role("button", name="Open at its place").first.click()
    lines = page.get_by_role("dialog").locator(".cx-line")
    expect(lines.nth(2)).to_contain_text("3The lamp <b>of</b>", timeout=PATIENCE_MS)
    expect(lines.nth(2).locator(".cx-chunk").first).to_be_visible()
    page.screenshot(path=tmp_path / "source.png")
    address = page.url
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto(address)
    expect(page.get_by_role("dialog")).to_contain_text("The lamp <b>of</b>", timeout=PATIENCE_MS)
    assert outside.asked == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 500])
def test_every_page_is_drawn_in_both_themes_at_both_widths(
    served_sample: App, browser: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 1400}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    outside = Outside(page, served_sample.url)
    seen = {
        "": "Latest runs",
        "search?q=highest+still+water+level": "Annual tide report 2025",
        "corpora?corpus=sample&file=reports/damaged-scan-1987.pdf": "Try this file again",
        "tables?table=silver/chunks": "long values are cut",
        "quality": "One evaluation so far",
        "models": "Everything works without one",
        "runs": "From files to the index",
    }
    for address, text in seen.items():
        page.goto(f"{served_sample.url}/{address}")
        expect(page.get_by_text(text).first).to_be_visible(timeout=PATIENCE_MS)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        name = address.partition("?")[0] or "overview"
        page.screenshot(path=tmp_path / f"{name}-{scheme}-{width}.png")
        is_wider = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        assert not is_wider, f"{name} scrolls sideways at {width} pixels"
    assert outside.asked == []
    context.close()


def test_thumbs_become_a_golden_question_that_is_evaluated(
    served_sample: App, browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 1600})
    page.set_default_timeout(PATIENCE_MS)
    outside = Outside(page, served_sample.url)
    page.goto(f"{served_sample.url}/search?q=when+did+the+north+gauge+read+too+low%3F")
    expect(page.locator(".cx-hit")).to_have_count(10, timeout=PATIENCE_MS)
    settle(page)
    thumbs = page.get_by_test_id("stFeedback")
    expect(thumbs).to_have_count(10)
    thumbs.first.get_by_role("radio").first.or_(thumbs.first.get_by_role("button").first).click()
    settle(page)
    page.get_by_role("button", name="Open at its place").nth(1).click()
    expect(page.get_by_role("dialog")).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    page.keyboard.press("Escape")
    page.screenshot(path=tmp_path / "thumbs.png")
    page.goto(f"{served_sample.url}/quality")
    page.get_by_role("tab", name="Candidates").click()
    expect(page.get_by_text("1 liked, 1 opened")).to_be_visible(timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / "candidates.png")
    page.get_by_role("textbox", name="Question").first.fill("why did the north gauge read too low?")
    page.get_by_role("button", name="Accept").first.click()
    expect(page.get_by_text("Accepted: the next evaluation asks it.")).to_be_visible(timeout=PATIENCE_MS)
    assert '"why did the north gauge read too low?"' in (served_sample.data / "golden" / "accepted.yaml").read_text()
    page.get_by_role("tab", name="Golden sets").click()
    expect(page.get_by_text("One evaluation so far")).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    page.get_by_role("button", name="Evaluate now").click()
    expect(page.get_by_text("The golden questions are being asked")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("the questions changed")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    page.screenshot(path=tmp_path / "quality.png")
    assert outside.asked == []
    page.close()


def test_a_page_of_a_pdf_is_drawn(served_sample: App, browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(f"{served_sample.url}/search?q=what+was+the+highest+still+water+level+of+2025%3F")
    expect(page.locator(".cx-hit")).to_have_count(10, timeout=PATIENCE_MS)
    settle(page)
    page.get_by_role("button", name="Open at its place").first.click()
    picture = page.get_by_role("dialog").locator("img")
    expect(picture).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_function("document.querySelector('[role=dialog] img').naturalWidth > 1000")
    page.screenshot(path=tmp_path / "page.png")
    page.close()


def test_an_answer_shows_documents_side_by_side_and_opens_them(
    served_sample: App, browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PATIENCE_MS)
    question = "highest+still+water+level+of+2025+and+how+the+north+gauge+was+cleaned+of+mussels"
    page.goto(f"{served_sample.url}/search?answer=true&q={question}")
    panel = page.locator(".st-key-answer-panel")
    expect(panel.get_by_text("% sure")).to_be_visible()
    settle(page)
    page.screenshot(path=tmp_path / "answer.png")
    left, right = (panel.locator(".cx-hit").nth(number).bounding_box() for number in (0, 1))
    assert left is not None and right is not None
    assert left["x"] + left["width"] <= right["x"]
    said = panel.locator(".cx-answer").first.inner_text()
    panel.get_by_role("button", name="Open 1").click()
    page.get_by_role("dialog").get_by_role("tab", name="Text").click()
    marks = page.get_by_role("dialog").locator("mark.cx-mark")
    expect(marks.first).to_be_visible()
    assert " ".join(marks.all_inner_texts()).split() == said.replace("[1]", "").split()
    page.close()


def test_another_name_of_this_machine_is_refused(served_sample: App) -> None:
    for name, status in ((app_server.HOST, 101), ("evil.example", 403)):
        connection = http.client.HTTPConnection(app_server.HOST, served_sample.port, timeout=10)
        handshake = {
            "Host": f"{name}:{served_sample.port}",
            "Origin": f"http://{name}:{served_sample.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        connection.request("GET", "/_stcore/stream", headers=handshake)
        assert connection.getresponse().status == status, name
        connection.close()


def day_of_calls(data: Path) -> None:
    """Three engines, and what they did in a day: the first one fails ever more often, and is left alone now."""
    data.mkdir(parents=True)
    (data / "inference.yaml").write_text(
        "engines:\n  big:\n    model: openai:qwen3-32b@http://127.0.0.1:1/v1\n    tier: large\n    context: 32768\n"
        "  small:\n    model: openai:qwen3-4b@http://127.0.0.1:2/v1\nlanes:\n  orchestrator: [big, small]\n"
        "  coder:\n    engines: [big]\n    budget: {run: 2, day: {cost: 10, tokens: 500000}}\n  governance: gguf:/no/such.gguf\n"
    )
    clock, rate = [0.0], random.Random(7)
    ledger = Ledger(data / "calls" / "calls.sqlite", clock=lambda: clock[0])
    now = time.time()
    for number in range(400):
        clock[0] = now - 86_000 * (1 - number / 400)
        lane, engine = rate.choice((("coder", "big"), ("orchestrator", "big"), ("orchestrator", "small")))
        ask = Ask(lane, engine, "m", "d", f"r{number}", Origin("test"), 1, False, 9.0, 9, Spent(), {}, {})
        admitted = ledger.admit(ask)
        if not isinstance(admitted, Admitted):
            continue
        outcome = "timeout" if engine == "big" and rate.random() < number / 2000 else "ok"
        seconds = 60.0 if outcome == "timeout" else rate.lognormvariate(0.3, 0.7)
        ledger.finish(
            admitted, Ended(outcome, "none", seconds, prompt_tokens=900, completion_tokens=200, cost=0.002 * seconds)
        )
    for at in range(3):
        clock[0] = now
        admitted = ledger.admit(replace(ask, engine="big", request_id=f"last{at}"))
        assert isinstance(admitted, Admitted)
        ledger.finish(admitted, Ended("timeout", "failure", 60.0, why="big: no answer within 60 s"))
    ledger.close()


def test_models_show_their_day_and_one_left_alone_is_tried_again(browser: Browser, tmp_path: Path) -> None:
    day_of_calls(tmp_path / "data")
    app = App(tmp_path / "data")
    page = browser.new_page(viewport={"width": 1400, "height": 2150})
    page.set_default_timeout(PATIENCE_MS)
    outside = Outside(page, app.url)
    try:
        page.goto(f"{app.url}/models")
        expect(page.get_by_text("is left alone for")).to_be_visible()
        expect(page.get_by_text("big: no answer within 60 s")).to_be_visible()
        expect(page.get_by_test_id("stVegaLiteChart").locator("canvas, svg")).to_have_count(2)
        page.get_by_role("textbox", name="Which lane").fill("why does this Python function raise a KeyError?")
        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("asked: big")).to_be_visible()
        settle(page)
        page.screenshot(path=tmp_path / "models.png")
        page.get_by_role("button", name="Try it again now").click()
        expect(page.get_by_text("big is asked again, from the next call on.")).to_be_visible()
        expect(page.get_by_role("button", name="Try it again now")).to_have_count(0)
        page.set_viewport_size({"width": 500, "height": 2600})
        settle(page)
        page.wait_for_timeout(500)
        page.screenshot(path=tmp_path / "models-narrow.png")
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    finally:
        app.stop()
        page.close()
    assert outside.asked == []


def test_numbers_for_a_monitor_are_served_beside_the_pages(served_sample: App) -> None:
    for name, status in ((app_server.HOST, 200), ("evil.example", 403)):
        connection = http.client.HTTPConnection(app_server.HOST, served_sample.port, timeout=60)
        connection.request("GET", "/metrics", headers={"Host": f"{name}:{served_sample.port}"})
        answer = connection.getresponse()
        assert answer.status == status, name
        if status == 200:
            assert answer.headers["Content-Type"] == exposition.CONTENT_TYPE
            _, samples = parsed(answer.read().decode())
            assert samples["cortex_table_rows", (("table", "silver/chunks"),)] > 0
            assert samples["cortex_inference_configuration_valid", ()] == 1
        connection.close()
