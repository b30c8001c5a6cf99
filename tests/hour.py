"""``python -m tests.hour``: an hour with Cortex as a new user has it, in some minutes, everything real: prints each step.

`cortex up` over an empty data folder; a folder dropped in the browser and one by copy; watch, search, edit, rename, delete; the
source unplugged and plugged in again; every process killed once; the disk filled (a small memory disk, as root); two terminals at
once; stop and start again. At the end nothing is lost, nothing is doubled, and every state was explained on a page.
Screenshots go to ``--shots``.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from apps.supervisor.state import UP, UpState, read_state
from resources.settings import child_environment

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = "/usr/bin/chromium"
DISK_MB = 400
PATIENCE = 90.0
READY = '[data-testid="stApp"][data-test-script-state="notRunning"] h1'


class Failed(Exception):
    """A step did not come out as it must."""


@dataclass
class Hour:
    """One data folder and the browser over it."""

    data: Path
    elsewhere: Path
    shots: Path
    page: Page
    steps: list[tuple[str, float]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Of every command."""
        return child_environment(
            CORTEX_DATA=str(self.data),
            DAGSTER_HOME=str(self.data / ".dagster"),
            CORTEX_MIN_FREE="1%,30MB",
            PYTHONWARNINGS="ignore",
        )

    def cortex(self, *words: str, allowed: tuple[int, ...] = (0,)) -> str:
        """A command in another terminal."""
        command = [sys.executable, "-m", "apps.cli", *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode not in allowed:
            raise Failed(
                f"cortex {' '.join(words)} ended with {done.returncode}: {done.stderr[-800:]}{done.stdout[-400:]}"
            )
        return done.stdout

    def found(self, word: str) -> set[str]:
        """Places whose shown text has the word."""
        out = self.cortex("search", word, "-k", "5", "--json", allowed=(0, 1))
        return {f"{hit['corpus']}/{hit['path']}" for hit in json.loads(out)["hits"] if word in hit["snippet"]}

    def until(self, holds: Callable[[], object], what: str, seconds: float = PATIENCE) -> float:
        """Seconds until something holds."""
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > seconds:
                raise Failed(f"not within {seconds:.0f} s: {what}")
            time.sleep(0.3)
        return time.monotonic() - began

    def state(self) -> UpState:
        """What is up."""
        found = read_state(self.data / "up")
        if found is None:
            raise Failed("nothing is up")
        return found

    def is_up(self) -> bool:
        """Whether all parts are."""
        found = read_state(self.data / "up")
        return found is not None and all(part.state == UP for part in found.parts)

    def open(self, address: str = "", text: str = "") -> None:
        """Open a page of the app and see a text there."""
        url = next(part.url for part in self.state().parts if part.name == "app")
        self.page.goto(f"{url}/{address}")
        self.page.wait_for_selector(READY, timeout=60_000)
        if text:
            self.page.get_by_text(text).first.wait_for(timeout=60_000)

    def shot(self, name: str) -> None:
        """Keep what the browser shows."""
        self.page.screenshot(path=self.shots / f"{len(self.steps):02d}-{name}.png")

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A step; its time is printed."""
        began = time.monotonic()
        yield
        self.steps.append((what, time.monotonic() - began))
        print(f"ok  {self.steps[-1][1]:6.1f} s  {what}", flush=True)


def up(hour: Hour) -> "subprocess.Popen[bytes]":
    """`cortex up` in a terminal of its own."""
    with open(hour.shots / "up.txt", "ab") as out:
        command = [sys.executable, "-m", "apps.cli", "up", "--port", "3700", "--app-port", "8700"]
        process = subprocess.Popen(
            command, cwd=ROOT, env=hour.environment, stdout=out, stderr=out, start_new_session=True
        )
    hour.until(hour.is_up, "cortex up")
    return process


def drops(hour: Hour) -> None:
    """Files by the browser, a folder by copy, a large folder, one that is added."""
    with hour.step("the first page says how to begin, and takes files from the browser"):
        hour.open("", "Nothing is here yet")
        hour.shot("empty")
        hour.page.get_by_role("textbox", name="Name of the new corpus").fill("letters")
        note = hour.shots / "keepers.md"
        note.write_text("# Keepers\n\nThe lamp of the lighthouse burned colza oil.\n", encoding="utf-8")
        hour.page.locator("input[type=file]").set_input_files(note)
        hour.page.get_by_role("button", name="Add and run").click()
        hour.until(lambda: hour.found("colza") == {"letters/keepers.md"}, "the dropped file is found")
    with hour.step("a folder by copy is found"):
        shutil.copytree(ROOT / "data" / "sample", hour.data / "inbox" / "sample")
        hour.until(lambda: hour.found("anemometer"), "the sample is found")
    with hour.step("a large folder is handed to Dagster, seen while it runs, and found"):
        for number in range(150):
            path = hour.data / "inbox" / "many" / f"{number % 6}" / f"{number:03d}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# Log {number}\n\n" + f"The corncrake {number} called at night. " * 60, encoding="utf-8")
        hour.open("", "many")
        hour.shot("a-run-goes-on")
        hour.until(lambda: hour.found("corncrake"), "the large folder is found")
        out = hour.cortex("sql", "select distinct trigger from ops.runs", "--json")
        if "dagster" not in out:
            raise Failed(f"Dagster ran nothing: {out}")
    with hour.step("a folder elsewhere is added and found"):
        hour.elsewhere.mkdir()
        for number in range(30):
            (hour.elsewhere / f"{number:02d}.md").write_text(f"# Stick {number}\n\nThe petrel {number} glides.\n")
        hour.cortex("add", str(hour.elsewhere), "--name", "stick", "--yes")
        hour.until(lambda: hour.found("petrel"), "the added folder is found")


def changes(hour: Hour) -> None:
    """Edit, rename, delete, unplug, plug in."""
    notes = hour.data / "inbox" / "letters"
    with hour.step("an edit is found, and the old words are not"):
        (notes / "keepers.md").write_text("# Keepers\n\nThe lamp burned paraffin afterwards.\n", encoding="utf-8")
        (notes / "second.md").write_text("# Second\n\nAnother letter.\n", encoding="utf-8")
        hour.until(lambda: hour.found("paraffin") and not hour.found("colza"), "the edit is found")
    with hour.step("a rename is found under its new name"):
        (notes / "keepers.md").rename(notes / "lamp.md")
        hour.until(lambda: hour.found("paraffin") == {"letters/lamp.md"}, "the new name is found")
    with hour.step("a delete arrives everywhere"):
        (notes / "lamp.md").unlink()
        hour.until(lambda: not hour.found("paraffin"), "it is gone")
    with hour.step("an unplugged source loses nothing, and the page says why"):
        away = hour.elsewhere.with_name("unplugged")
        hour.elsewhere.rename(away)
        hour.until(lambda: _withheld(hour), "the worker sees that it is gone")
        if len(hour.found("petrel")) != 5:
            raise Failed("rows of the unplugged source are gone")
        hour.open("corpora?corpus=stick", "deletes are withheld")
        hour.shot("unplugged")
        away.rename(hour.elsewhere)
        (hour.elsewhere / "new.md").write_text("The shearwater is back.\n", encoding="utf-8")
        hour.until(lambda: hour.found("shearwater"), "it goes on when it is plugged in")
    with hour.step("half of a source deleted is withheld until it is confirmed"):
        for number in range(25):
            (hour.elsewhere / f"{number:02d}.md").unlink()
        hour.until(lambda: _withheld(hour), "the deletes are withheld")
        scan = _withheld(hour)
        hour.open("corpora?corpus=stick", "deletes are withheld")
        hour.shot("withheld")
        if scan["files"] != 25:
            raise Failed(f"withheld: {scan}")
        hour.cortex("confirm", scan["scan_id"])
        hour.cortex("run", "stick", allowed=(0, 1))
        if len(hour.found("petrel")) != 5:
            raise Failed("confirmed deletes did not arrive")


def _withheld(hour: Hour) -> dict[str, Any]:
    """What is withheld of the stick; empty for nothing."""
    found: dict[str, Any] | None = json.loads(hour.cortex("status", "stick", "--json"))["corpora"][0]["withheld"]
    return found or {}


def killing(hour: Hour) -> None:
    """Every process once; a run in its midst, too."""
    for name in ("worker", "app", "code", "dagster", "daemon"):
        with hour.step(f"{name} killed comes back"):
            pid = next(part.pid for part in hour.state().parts if part.name == name)
            os.kill(pid, signal.SIGKILL)
            hour.until(lambda name=name, pid=pid: hour.is_up() and all(p.pid != pid for p in hour.state().parts), name)
    with hour.step("a run killed in its midst is shown as interrupted within a minute, and goes on"):
        folder = hour.data / "inbox" / "many" / "later"
        folder.mkdir()
        for number in range(200):
            (folder / f"{number:03d}.md").write_text(f"# Later {number}\n\n" + f"The sandpiper {number} runs. " * 150)
        hour.until(lambda: _live(hour, "many").get("state") == "running" and _live(hour, "many").get("done"), "a run")
        began = _live(hour, "many")
        os.kill(int(began["pid"]), signal.SIGKILL)
        hour.open("", "interrupted")
        hour.shot("interrupted")
        hour.cortex("run", "many", allowed=(0, 1))
        hour.until(lambda: hour.found("sandpiper"), "the next run goes on")


def _live(hour: Hour, shard: str) -> dict[str, Any]:
    try:
        live: dict[str, Any] = json.loads((hour.data / "cache" / "live" / f"{shard}.json").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return live


def full(hour: Hour, is_small: bool) -> None:
    """The disk is full, and has room again."""
    if not is_small:
        print("--           the disk is not filled: a memory disk needs root", flush=True)
        return
    with hour.step("a full disk is told, searches go on, nothing is lost"):
        fill = hour.data.parent / "fill"
        with open(fill, "wb") as file:
            free = os.statvfs(hour.data)
            os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - 8 * 2**20))
        (hour.data / "inbox" / "letters" / "full.md").write_text("The turnstone turns stones.\n", encoding="utf-8")
        hour.until(lambda: "must stay free" in hour.cortex("doctor", allowed=(0, 1)), "doctor says it")
        if not hour.found("corncrake"):
            raise Failed("searches do not go on")
        hour.open()
        hour.shot("full")
        fill.unlink()
        hour.cortex("run", allowed=(0, 1))
        hour.until(lambda: hour.found("turnstone"), "it goes on when there is room")


def together(hour: Hour) -> None:
    """Two terminals, and the worker, at once."""
    with hour.step("two terminals and the worker at once"):
        for number in range(20):
            (hour.data / "inbox" / "letters" / f"at-once-{number}.md").write_text(f"The whimbrel {number} whistles.\n")
        command = [sys.executable, "-m", "apps.cli", "run"]
        quiet = {"cwd": ROOT, "env": hour.environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        both = [subprocess.Popen(command, **quiet) for _ in range(2)]  # type: ignore[call-overload]
        codes = [process.wait(120) for process in both]
        if any(code not in (0, 1) for code in codes):
            raise Failed(f"exit codes {codes}")
        hour.until(lambda: len(hour.found("whimbrel")) == 5, "all are found")


def ending(hour: Hour, process: "subprocess.Popen[bytes]") -> None:
    """Stop, start again, compare everything."""
    with hour.step("stopped, nothing is left running; started again, everything is there"):
        pids = [part.pid for part in hour.state().parts]
        hour.cortex("down")
        process.wait(30)
        if any(Path(f"/proc/{pid}").exists() for pid in pids):
            raise Failed("something still runs")
        again = up(hour)
        hour.open("", "Overview")
        hour.shot("again")
    with hour.step("nothing lost, nothing doubled: rows by key, verify, and a lake made at once"):
        hour.cortex("down")
        again.wait(30)
        hour.cortex("run", allowed=(0, 1))
        report = json.loads(hour.cortex("verify", "--json", allowed=(0, 1)))
        if report["findings"]:
            raise Failed(f"verify finds {report['findings']}")
        _compare(hour)


def _compare(hour: Hour) -> None:
    """Every file on disk has its rows, once; ids and hashes are those of a lake made at once from the same folders."""
    import polars as pl

    with tempfile.TemporaryDirectory() as folder:
        fresh = Hour(Path(folder) / "data", hour.elsewhere, hour.shots, hour.page)
        shutil.copytree(hour.data / "inbox", fresh.data / "inbox")
        fresh.cortex("add", str(hour.elsewhere), "--name", "stick", "--yes")
        fresh.cortex("run", allowed=(0, 1))
        for table, key in (
            ("bronze/files", "file_id"),
            ("bronze/documents", "document_id"),
            ("silver/chunks", "chunk_id"),
        ):
            mine, theirs = (pl.read_delta(str(h.data / "lake" / table)).select(key, "row_hash") for h in (hour, fresh))
            if mine.get_column(key).n_unique() != mine.height:
                raise Failed(f"{table} holds a key twice")
            differing = mine.join(theirs, on=[key, "row_hash"], how="anti").height
            missing = theirs.join(mine, on=[key, "row_hash"], how="anti").height
            if differing or missing:
                raise Failed(f"{table}: {differing} rows differ, {missing} are missing")
            print(f"             {table}: {mine.height} rows, the same as made at once", flush=True)


@contextmanager
def disk() -> Iterator[tuple[Path, bool]]:
    """A folder on a small disk of its own, and whether it is one."""
    with tempfile.TemporaryDirectory(prefix="cortex-hour-") as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", folder], capture_output=True, check=False
        )
        try:
            yield Path(folder), not mounted.returncode
        finally:
            if not mounted.returncode:
                subprocess.run(["umount", "--lazy", folder], check=False)


def main() -> int:
    """Live the hour; 0 when every step came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.hour", description="An hour as a new user has it.")
    parser.add_argument("--shots", type=Path, help="folder for screenshots (default: a temporary one)")
    asked = parser.parse_args()
    shots = asked.shots or Path(tempfile.mkdtemp(prefix="cortex-shots-"))
    shots.mkdir(parents=True, exist_ok=True)
    with disk() as (root, is_small), sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        hour = Hour(root / "data", root / "elsewhere", shots, page)
        hour.data.mkdir()
        process: subprocess.Popen[bytes] | None = None
        try:
            with hour.step("cortex up over nothing"):
                process = up(hour)
            drops(hour)
            changes(hour)
            killing(hour)
            full(hour, is_small)
            together(hour)
            ending(hour, process)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what went wrong)
            hour.shot("failed")
            print(
                f"FAILED after {len(hour.steps)} steps: {type(error).__name__}: {error}; screenshots in {shots}",
                flush=True,
            )
            return 1
        finally:
            hour.cortex("down", allowed=(0, 1))
            browser.close()
    print(f"{len(hour.steps)} steps in {sum(seconds for _, seconds in hour.steps):.0f} s; screenshots in {shots}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
