"""Webhooks against real receivers on 127.0.0.1: signed as the standard says, at least once, bounded; nothing secret anywhere."""

import base64
import http.server
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from apps.delivering import deliver_aside
from resources import webhook_post, webhooks
from resources.settings import load_settings
from resources.webhook_file import Hook, WebhooksError, load_hooks, parse_hooks
from resources.webhooks import Message, deliver, drain, enqueue, is_empty, message_id, spool_state

SECRET = b"\x07" * 32
WHSEC = "whsec_" + base64.b64encode(SECRET).decode()


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it was sent and answers as ``answer`` says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[], int] = lambda: 204
        self.slow = threading.Event()
        self.is_slow = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/webhook/cortex?key=hidden"

    def handle_error(self, request: object, client_address: object) -> None:
        """The sender may hang up: that is no news."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.is_slow:
            for _ in range(200):  # a byte now and then keeps a socket's own time-out away
                self.wfile.write(b"H")
                self.wfile.flush()
                if self.server.slow.wait(0.05):
                    return
        self.server.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        status = self.server.answer()
        self.send_response(status)
        if status in (301, 302, 307):
            self.send_header("Location", self.server.url.replace("/webhook", "/elsewhere"))
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        serving = threading.Thread(target=made.serve_forever, args=(0.02,))
        serving.start()
        yield made
        made.slow.set()
        made.shutdown()
        serving.join()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "webhooks.yaml").write_text("webhooks: []\n")
    return tmp_path / "spool"


def hook(receiver: Receiver | None, *events: str, port: int = 1) -> Hook:
    port = port if receiver is None else receiver.server_address[1]
    wanted = frozenset(events or ("run_failed", "run_finished", "alert"))
    return Hook(
        f"k{port}", f"1 (127.0.0.1:{port})", "http", "127.0.0.1", port, "/webhook/cortex?key=hidden", wanted, SECRET
    )


def put(spool: Path, number: int = 1, event: str = "run_failed") -> Message:
    message = Message(
        event, message_id(event, str(number)), "2026-03-04T05:06:07+00:00", "notes", "notes", {"new": number}, "why"
    )
    assert enqueue(spool.parent / "webhooks.yaml", spool, message)
    return message


PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def from_the_page(language: str, having: str) -> str:
    """The snippet that docs/operations.md gives to receivers."""
    return next(code for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.S) if having in code)


def verify_like_a_receiver(secret: str, headers: dict[str, str], body: bytes) -> dict[str, object]:
    """By the Python of the page."""
    names: dict[str, Callable[..., None]] = {}
    exec(from_the_page("python", "def verify"), names)
    names["verify"](secret, headers, body)
    found: dict[str, object] = json.loads(body)
    return found


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_a_message_arrives_signed_and_verifies(receiver: Receiver, spool: Path) -> None:
    sent = put(spool)
    done = drain(spool, [hook(receiver)])
    assert (done.sent, done.failed, done.waiting) == (1, 0, 0)
    ((path, headers, body),) = receiver.got
    assert path == "/webhook/cortex?key=hidden"
    told = verify_like_a_receiver(WHSEC, headers, body)
    assert told == {
        "event": "run_failed",
        "id": sent.id,
        "at": "2026-03-04T05:06:07+00:00",
        "corpus": "notes",
        "shard": "notes",
        "counts": {"new": 1},
        "reason": "why",
    }
    assert headers["webhook-id"] == sent.id
    assert headers["content-type"] == "application/json"
    for wrong in (body.replace(b"why", b"who"), body + b" "):
        with pytest.raises(ValueError, match="not signed"):
            verify_like_a_receiver(WHSEC, headers, wrong)
    with pytest.raises(ValueError, match="not signed"):
        verify_like_a_receiver("whsec_" + base64.b64encode(b"8" * 32).decode(), headers, body)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_code_for_n8n_lets_signed_messages_pass_and_no_others(receiver: Receiver, spool: Path) -> None:
    put(spool)
    drain(spool, [hook(receiver)])
    ((_, headers, body),) = receiver.got

    def passes(sent: bytes, secret: str = WHSEC) -> "subprocess.CompletedProcess[str]":
        """As n8n's Code node runs it."""
        given = json.dumps({"headers": headers, "body": base64.b64encode(sent).decode(), "secret": secret})
        around = (
            f"const given = {given};\n"
            "const $env = {WEBHOOK_SECRET: given.secret};\n"
            "const $input = {first: () => ({json: {headers: given.headers}})};\n"
            "const node = {helpers: {getBinaryDataBuffer: async () => Buffer.from(given.body, 'base64')}};\n"
            "(async function () {" + from_the_page("js", "createHmac") + "}).call(node)"
            ".then((items) => console.log(items[0].json.event));"
        )
        return subprocess.run(["node", "-e", around], capture_output=True, text=True, timeout=60, check=False)

    assert passes(body).stdout.strip() == "run_failed"
    for wrong in (passes(body + b" "), passes(body, "whsec_" + base64.b64encode(b"8" * 32).decode())):
        assert wrong.returncode != 0
        assert "not signed by Cortex" in wrong.stderr


def test_the_signature_is_that_of_the_standards_own_example() -> None:
    """From the specification's libraries: the example of Standard Webhooks."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    made = webhook_post.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_only_what_is_asked_for_is_sent_and_what_nobody_wants_goes(receiver: Receiver, spool: Path) -> None:
    put(spool, 1, "run_finished")
    put(spool, 2, "alert")
    drain(spool, [hook(receiver, "alert")])
    assert [json.loads(body)["event"] for _, _, body in receiver.got] == ["alert"]
    assert is_empty(spool)


def test_without_a_file_nothing_is_put_anywhere(tmp_path: Path) -> None:
    assert not enqueue(tmp_path / "webhooks.yaml", tmp_path / "spool", Message("alert", "msg_1", "now"))
    assert not (tmp_path / "spool").exists()


def test_the_same_happening_waits_once(spool: Path) -> None:
    put(spool)
    put(spool)
    assert spool_state(spool).waiting == 1


def test_the_spool_is_readable_for_its_owner_alone(spool: Path) -> None:
    put(spool)
    (file,) = spool.glob("*.json")
    assert (spool.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


# -- receivers that do not take it -------------------------------------------------------------------------------------


def later(spool: Path, seconds: float) -> None:
    """Turn the clock of every waiting message forward."""
    for file in spool.glob("*.json"):
        letter = json.loads(file.read_text())
        letter["put_at"] -= seconds
        letter["hooks"] = {
            key: [tried[0], tried[1] - seconds] if tried else [] for key, tried in letter["hooks"].items()
        }
        file.write_text(json.dumps(letter))


@pytest.mark.parametrize("status", [500, 429, 404, 302, 307])
def test_what_is_refused_is_sent_again_and_no_redirect_is_followed(
    receiver: Receiver, spool: Path, status: int
) -> None:
    put(spool)
    receiver.answer = lambda: status
    done = drain(spool, [hook(receiver)])
    assert (done.sent, done.failed, done.waiting) == (0, 1, 1)
    assert f"answered {status}" in done.notes[0]
    assert drain(spool, [hook(receiver)]).failed == 0, "not before ten seconds"
    assert [path for path, _, _ in receiver.got] == ["/webhook/cortex?key=hidden"]
    receiver.answer = lambda: 200
    later(spool, 11)
    assert drain(spool, [hook(receiver)]).sent == 1
    first, second = (headers["webhook-id"] for _, headers, _ in receiver.got)
    assert first == second, "the same id, so that a receiver can leave it out"
    assert is_empty(spool)


def test_one_that_is_down_is_tried_ten_times_ever_later_then_put_aside(spool: Path) -> None:
    put(spool)
    down, waits = hook(None), []
    for _ in range(len(webhooks.WAITS)):
        done = drain(spool, [down])
        assert (done.failed, done.dead) == (1, 0)
        (file,) = spool.glob("*.json")
        ((_, due),) = json.loads(file.read_text())["hooks"].values()
        waits.append(round(due - time.time()))
        later(spool, waits[-1] + 1)
    assert waits == [10, 60, 300, 1800, 7200, 18000, 36000, 36000, 36000]
    done = drain(spool, [down])
    assert (done.failed, done.dead, done.waiting) == (1, 1, 0)
    assert spool_state(spool).dead == 1
    assert spool_state(spool).dead_at == pytest.approx(time.time(), abs=10)
    assert len(list((spool / "dead").glob("*.json"))) == 1


def test_what_is_three_days_old_is_put_aside(spool: Path) -> None:
    put(spool)
    drain(spool, [hook(None)])
    later(spool, webhooks.MOST_AGE + 1)
    assert drain(spool, [hook(None)]).dead == 1


def test_a_receiver_that_is_gone_is_not_asked_again(receiver: Receiver, spool: Path) -> None:
    put(spool)
    receiver.answer = lambda: 410
    assert drain(spool, [hook(receiver)]).dead == 1
    assert is_empty(spool)


def test_a_receiver_that_is_slow_is_left_after_the_limit(
    receiver: Receiver, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_post, "SECONDS", 0.5)
    receiver.is_slow = True
    put(spool)
    begin = time.monotonic()
    done = drain(spool, [hook(receiver)])
    assert time.monotonic() - begin < 3, "though it sends a byte now and then"
    assert (done.failed, done.waiting) == (1, 1)


def test_a_name_that_is_looked_up_for_too_long_is_left(
    receiver: Receiver, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After that nobody would watch the limit: a receiver that answers byte by byte would hold everybody up."""
    usual = socket.getaddrinfo

    def slow(*words: object, **more: object) -> object:
        time.sleep(0.4)
        return usual(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(webhook_post, "SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    put(spool)
    done = drain(spool, [hook(receiver)])
    assert (done.sent, done.failed, receiver.got) == (0, 1, [])


def test_one_receiver_that_is_down_keeps_no_other_from_being_told_and_nobody_is_told_twice(
    receiver: Receiver, spool: Path
) -> None:
    for number in range(3):
        put(spool, number)
    hooks = [hook(None), hook(receiver)]
    done = drain(spool, hooks)
    assert (done.sent, done.failed, done.waiting) == (3, 1, 3), "the one that is down is asked once a drain"
    later(spool, 11)
    drain(spool, hooks)
    assert len(receiver.got) == 3
    for _ in range(40):
        later(spool, 40_000)
        drain(spool, hooks)
    assert len(receiver.got) == 3
    assert (is_empty(spool), spool_state(spool).dead) == (True, 3)


def test_too_many_messages_push_the_oldest_out(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST_WAITING", 5)
    for number in range(8):
        put(spool, number)
    done = drain(spool, [hook(None)])
    assert (done.dead, done.waiting) == (3, 5)


def test_a_damaged_message_is_put_aside_and_the_rest_goes_on(receiver: Receiver, spool: Path) -> None:
    put(spool)
    (spool / "00000000000000000001-msg_x.json").write_text("{")
    done = drain(spool, [hook(receiver)])
    assert (done.sent, done.dead, done.waiting) == (1, 1, 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"message": {"event": ["alert"], "id": "x", "at": "y"}},
        {"message": {"event": "alert", "id": "x", "at": "y", "counts": [1]}},
        {"message": {"event": "alert", "id": "x", "at": "y", "reason": 5}},
        {"hooks": {"k1": "z"}},
        {"hooks": {"k1": ["a", "b"]}},
        {"hooks": [1]},
        {"put_at": None},
    ],
)
def test_a_message_of_another_form_keeps_no_other_waiting(
    receiver: Receiver, spool: Path, changed: dict[str, object]
) -> None:
    put(spool)
    letter = {"put_at": 1.0, "message": {"event": "alert", "id": "x", "at": "y"}, "hooks": {}} | changed
    (spool / "00000000000000000001-msg_x.json").write_text(json.dumps(letter))
    done = drain(spool, [hook(receiver)])
    assert (done.sent, done.dead, done.waiting) == (1, 1, 0)


def test_a_receiver_whose_name_can_be_none_keeps_no_other_waiting(receiver: Receiver, spool: Path) -> None:
    put(spool)
    broken = replace(hook(None), key="broken", host="a..b")
    done = drain(spool, [broken, hook(receiver)])
    assert (done.sent, done.failed, done.waiting) == (1, 1, 1)


def test_a_clock_that_is_set_back_lets_no_message_wait_for_a_year(receiver: Receiver, spool: Path) -> None:
    put(spool)
    drain(spool, [hook(None)])
    later(spool, -365 * 86_400.0)
    assert drain(spool, [replace(hook(receiver), key="k1")]).sent == 1


def test_two_drains_at_once_send_once(receiver: Receiver, spool: Path) -> None:
    for number in range(20):
        put(spool, number)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: drain(spool, [hook(receiver)]), range(4)))
    drain(spool, [hook(receiver)])
    assert len(receiver.got) == 20
    assert sum(one.sent for one in done) <= 20


def test_a_drain_that_takes_long_leaves_the_rest_to_the_next(receiver: Receiver, spool: Path) -> None:
    for number in range(3):
        put(spool, number)
    assert drain(spool, [hook(receiver)], seconds=-1).sent == 0
    assert drain(spool, [hook(receiver)]).sent == 3


def test_a_full_disk_fails_no_run(spool: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool.parent.joinpath("spool").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert not enqueue(spool.parent / "webhooks.yaml", spool, Message("alert", "msg_1", "now"))
    assert "could not be put" in caplog.text


def test_no_address_and_no_secret_is_told(receiver: Receiver, spool: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(spool)
    receiver.answer = lambda: 500
    with caplog.at_level(logging.DEBUG):
        done = drain(spool, [hook(receiver), hook(None)])
        later(spool, webhooks.MOST_AGE + 1)
        again = drain(spool, [hook(receiver), hook(None)])
    files = [path.read_text() for path in spool.rglob("*") if path.is_file()]
    told = " ".join([*done.notes, *again.notes, caplog.text, repr(hook(receiver)), *files])
    assert again.dead
    assert "hidden" not in told
    assert base64.b64encode(SECRET).decode() not in told


# -- the file ----------------------------------------------------------------------------------------------------------


def entry(**fields: object) -> str:
    values = {"url": "https://example.org/webhook/a", "events": ["alert"], "secret_file": "webhook.secret"} | fields
    return json.dumps({"webhooks": [{k: v for k, v in values.items() if v is not None}]})


def test_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "webhook.secret").write_text(WHSEC + "\n")
    monkeypatch.setenv("N8N_SECRET", WHSEC)
    assert load_hooks(tmp_path / "none.yaml") == ()
    (tmp_path / "webhooks.yaml").write_text(
        "webhooks:\n"
        "  - url: http://127.0.0.1:5678/webhook/cortex?x=1\n    events: [run_failed, alert]\n    secret_file: webhook.secret\n"
        "  - url: https://[::1]/b\n    events: [run_finished]\n    secret_env: N8N_SECRET\n"
    )
    first, second = load_hooks(tmp_path / "webhooks.yaml")
    assert (first.scheme, first.host, first.port, first.target) == ("http", "127.0.0.1", 5678, "/webhook/cortex?x=1")
    assert first.events == {"run_failed", "alert"}
    assert (second.scheme, second.host, second.port) == ("https", "::1", 443)
    assert first.secret == second.secret == SECRET


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "not YAML"),
        ("hooks: []", "only key on top"),
        ("webhooks: 3", "must be a list"),
        ("webhooks: [3]", "entry 1 must have the form"),
        (entry(url="ftp://example.org/"), "`url` must begin with http"),
        (entry(url="file:///etc/passwd"), "`url` must begin with http"),
        (entry(url="https://me:word@example.org/"), "`url` must hold no user name"),
        (entry(url="https://example.org:x/"), "`url` is no address"),
        (entry(url="https://a..b/"), "`url` is no address"),
        (entry(url=f"https://{'a' * 70}.org/"), "`url` is no address"),
        ("webhooks: 2026-13-45", "not YAML"),
        (entry(url="https://exa mple.org/"), "`url` must be an address"),
        (entry(url="http://example.org/\r\nX: y"), "`url` must be an address"),
        (entry(events=[]), "`events` must be"),
        (entry(events=["boom"]), "`events` must be"),
        (entry(more=1), "`more` is not known"),
        (entry(secret_file=None), "`secret_env` or `secret_file` must be given"),
        (entry(secret_env="A"), "`secret_env` or `secret_file` must be given"),
        (entry(secret_file="missing"), "`secret_file` names a file that cannot be read"),
        (entry(secret_file="plain"), "`secret_file` must lead to whsec_"),
        (entry(secret_file=None, secret_env="NOT_THERE"), "which is not set"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_without_quoting_secrets(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "webhook.secret").write_text(WHSEC)
    (tmp_path / "plain").write_text("pa55word-pa55word")
    with pytest.raises(WebhooksError) as caught:
        parse_hooks(text, tmp_path / "webhooks.yaml")
    assert said in str(caught.value)
    assert "webhooks.yaml" in str(caught.value)
    assert "word@" not in str(caught.value)
    assert "pa55" not in str(caught.value)


def test_an_address_is_declared_once(tmp_path: Path) -> None:
    (tmp_path / "webhook.secret").write_text(WHSEC)
    one = json.loads(entry())["webhooks"][0]
    with pytest.raises(WebhooksError, match="declared twice"):
        parse_hooks(json.dumps({"webhooks": [one, one]}), tmp_path / "webhooks.yaml")


def test_no_proxy_of_the_environment_is_asked(receiver: Receiver, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    put(spool)
    assert drain(spool, [hook(receiver)]).sent == 1
    assert os.environ["http_proxy"]


def test_a_process_that_stays_delivers_aside(
    receiver: Receiver, spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(tmp_path, {"CORTEX_DATA": str(tmp_path / "data"), "CORTEX_WEBHOOKS": "mine.yaml"})
    assert deliver_aside(settings) is None
    (tmp_path / "webhook.secret").write_text(WHSEC)
    said = {"url": receiver.url, "events": ["alert"], "secret_file": "webhook.secret"}
    (tmp_path / "mine.yaml").write_text(json.dumps({"webhooks": [said]}))
    enqueue(settings.webhooks_file, settings.webhook_spool, Message("alert", "msg_1", "now"))
    thread = deliver_aside(settings)
    assert thread is not None
    thread.join(20)
    assert len(receiver.got) == 1
    assert is_empty(settings.webhook_spool)


def test_a_file_that_cannot_be_used_lets_messages_wait(spool: Path) -> None:
    put(spool)
    file = spool.parent / "webhooks.yaml"
    file.write_text("webhooks: [3]")
    done = deliver(file, spool)
    assert (done.waiting, "entry 1" in done.notes[0]) == (1, True)
    file.unlink()
    assert deliver(file, spool).waiting == 0, "nobody is to be told any more"
