"""The app over a lake of 100,000 chunks: seconds until a page stands, in a real browser.

The first page is opened in a server that has just started, by a browser that has just started; the others after it.
Embedder ``hash``: what is shown does not depend on it.
"""

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path

from apps.app_server import command
from apps.supervisor.parts import free_port, is_open
from resources.settings import child_environment
from tests.bench.figures import Figure, Part, load
from tests.bench.living import WORDS
from tests.bench.process import ROOT, CommandFailed, cortex

FILES, CHUNKS_A_FILE = 2_000, 50
FIRST_TARGET_SECONDS, NEXT_TARGET_SECONDS = 2.0, 1.0
ROUNDS = 3
PAGES = ("Search", "Corpora", "Tables", "Runs", "Overview")
CHROMIUM = "/usr/bin/chromium"
STANDS = '[data-testid="stApp"][data-test-script-state="notRunning"] h1'
QUESTION = "tide gauge"


def run(scratch: Path, asked: argparse.Namespace) -> Part:
    """Make the lake, serve the app, open its pages."""
    if not Path(CHROMIUM).exists():
        return Part("pages", skipped=f"no {CHROMIUM}: apt-get install chromium")
    settings = {"CORTEX_EMBED": "hash"}
    chunks = _fill(scratch / "data" / "inbox" / "notes", 40 if asked.quick else FILES)
    cortex(["run", "--json"], scratch, **settings)
    firsts, nexts = [], []
    for _ in range(1 if asked.quick else ROUNDS):
        first, following = _opened(scratch / "data", settings)
        firsts.append(first)
        nexts.append(following)
    worst = {page: max(round_[page] for round_ in nexts) for page in nexts[0]}
    median = {page: sorted(round_[page] for round_ in nexts)[len(nexts) // 2] for page in nexts[0]}
    note = f"about {chunks:,} chunks; of {len(firsts)} starts the median; load {load()[0]}"
    part = Part("pages", details={"first, s": firsts, "worst, s": worst})
    part.figures.append(
        Figure("first page of the app", sorted(firsts)[len(firsts) // 2], "s", FIRST_TARGET_SECONDS, note=note)
    )
    part.figures += [
        Figure(f"page {name}", value, "s", NEXT_TARGET_SECONDS, note=note) for name, value in median.items()
    ]
    return part


def _fill(folder: Path, files: int) -> int:
    """Notes of about fifty chunks each; the number of chunks together, about."""
    folder.mkdir(parents=True)
    chosen = random.Random(100_000)
    for number in range(files):
        parts = [
            f"## Part {part}\n\n" + " ".join(chosen.choices(WORDS, k=150)) + f" {number}-{part}."
            for part in range(CHUNKS_A_FILE)
        ]
        (folder / f"{number:05d}.md").write_text(f"# Note {number}\n\n" + "\n\n".join(parts), encoding="utf-8")
    return files * CHUNKS_A_FILE


def _opened(data: Path, settings: dict[str, str]) -> tuple[float, dict[str, float]]:
    """Seconds to the first page of a fresh server, and to each page after it."""
    from playwright.sync_api import sync_playwright

    port = free_port(8900)
    environment = child_environment(CORTEX_DATA=str(data), **settings)
    with open(data / "app.log", "ab") as log:
        server = subprocess.Popen(command(port), cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while not is_open(port):
            if time.monotonic() > until:
                raise CommandFailed("the app did not start")
            time.sleep(0.05)
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            begin = time.perf_counter()
            page.goto(f"http://127.0.0.1:{port}/")
            page.wait_for_selector(STANDS, timeout=60_000)
            first, following = time.perf_counter() - begin, {}
            for name in PAGES:
                begin = time.perf_counter()
                page.get_by_role("link", name=name).click()
                page.wait_for_selector(f'{STANDS}:has-text("{name}")', timeout=60_000)
                following[name] = time.perf_counter() - begin
            page.get_by_role("link", name="Search").click()
            page.wait_for_selector(f'{STANDS}:has-text("Search")', timeout=60_000)
            box = page.get_by_role("searchbox", name="Question")
            box.fill(QUESTION)
            begin = time.perf_counter()
            box.press("Enter")
            page.get_by_text("passages in").wait_for(timeout=60_000)
            following["Search: a question answered"] = time.perf_counter() - begin
            browser.close()
        return first, following
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    sys.exit("run it as: python -m tests.bench pages")
