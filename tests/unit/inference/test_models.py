"""Model files: found without executing packages, checked by digest, pulled from a hub."""

import hashlib
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from inference import models
from inference.errors import DigestMismatch, EngineUnavailable, ModelMissing, ModelUnsupported
from inference.models import ModelFiles, packaged_model, pulled_model, pulled_models, space_of_model, verify
from inference.pull import pull_model

COMMIT = "a" * 40


def test_packaged_space_is_fixed() -> None:
    space = space_of_model(packaged_model())
    assert (space.dimensions, space.max_tokens, space.pooling, space.normalized) == (384, 256, "mean", True)
    assert space.space_id == "all-minilm-l6-v2-508c67a3"


def test_verify_caches_digests_and_sees_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    files = ModelFiles("m", tmp_path, (("model.safetensors", hashlib.sha256(b"weights").hexdigest()),))
    verify(files, tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(models, "file_digest", lambda _: pytest.fail("the digest was cached"))
        verify(files, tmp_path / "cache")
    path.write_bytes(b"weightS!")
    with pytest.raises(DigestMismatch, match=r"model\.safetensors.*remedy"):
        verify(files, tmp_path / "cache")
    path.unlink()
    with pytest.raises(ModelMissing, match="remedy"):
        verify(files, tmp_path / "cache")


def test_broken_digest_cache_is_only_slow(tmp_path: Path) -> None:
    (tmp_path / "digests.json").write_text("{ not json")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    verify(ModelFiles("m", tmp_path, (("model.safetensors", hashlib.sha256(b"x").hexdigest()),)), tmp_path)
    assert json.loads((tmp_path / "digests.json").read_text())


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode": "cls"}, "cls"),
        ({}, "mean"),
    ],
)
def test_pooling_is_read(tmp_path: Path, config: dict[str, object], pooling: str) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 8, "max_position_embeddings": 64}')
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(config))
    space = space_of_model(ModelFiles("org/m", tmp_path, (("model.safetensors", "0" * 64),)))
    assert (space.pooling, space.max_tokens) == (pooling, 64)


def test_unknown_pooling_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 8}')
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(ModelUnsupported, match="max_tokens"):
        space_of_model(ModelFiles("org/m", tmp_path, ()))


def test_never_pulled_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="cortex models pull org/nothing"):
        pulled_model("org/nothing", tmp_path)
    assert pulled_models(tmp_path) == []


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub's protocol as a pull needs."""

    files: ClassVar[dict[str, bytes]] = {}
    fetched: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.reply(with_body=False)

    def do_GET(self) -> None:
        self.reply(with_body=True)

    def reply(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/org/small"):
            names = [{"rfilename": name} for name in self.files]
            if "/tree/" in path:
                body = json.dumps(
                    [
                        {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                        for name, content in self.files.items()
                    ]
                ).encode()
            else:
                body = json.dumps({"id": "org/small", "sha": COMMIT, "siblings": names, "tags": []}).encode()
            self.send(200, body, with_body=with_body)
        elif (name := path.removeprefix(f"/org/small/resolve/{COMMIT}/")) in self.files:
            if with_body:
                self.fetched.append(name)
            self.send(200, self.files[name], with_body=with_body, etag=hashlib.sha1(self.files[name]).hexdigest())
        else:
            self.send(404, b"{}", with_body=with_body, error="RepoNotFound")

    def send(self, status: int, body: bytes, *, with_body: bool, etag: str = "", error: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        if etag:
            self.send_header("ETag", f'"{etag}"')
            self.send_header("X-Repo-Commit", COMMIT)
        if error:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


@pytest.fixture
def hub() -> Iterator[str]:
    pytest.importorskip("huggingface_hub")
    folder = packaged_model().folder
    Hub.fetched.clear()
    Hub.files = {
        "config.json": (folder / "config.json").read_bytes(),
        "tokenizer.json": (folder / "tokenizer.json").read_bytes(),
        "model.safetensors": b"not really weights",
        "pytorch_model.bin": b"a pickle",
        "modeling.py": b"code",
        "onnx/model.safetensors": b"other",
    }
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_pull_takes_no_code_and_writes_digests_and_resumes(hub: str, tmp_path: Path) -> None:
    files = pull_model("org/small", tmp_path, endpoint=hub)
    assert [name for name, _ in files.digests] == ["config.json", "model.safetensors", "tokenizer.json"]
    assert files.revision == COMMIT
    verify(files, tmp_path / "cache")
    assert pulled_models(tmp_path) == [files]
    (files.folder / models.MANIFEST).unlink()
    (files.folder / "model.safetensors").unlink()
    with pytest.raises(ModelMissing):
        pulled_model("org/small", tmp_path)
    Hub.fetched.clear()
    assert pull_model("org/small", tmp_path, endpoint=hub) == files
    assert Hub.fetched == ["model.safetensors"]


def test_pull_of_an_unknown_model(hub: str, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="org/other"):
        pull_model("org/other", tmp_path, endpoint=hub)
    with pytest.raises(ModelMissing, match="org/name"):
        pull_model("../evil", tmp_path, endpoint=hub)


def test_pull_without_safetensors_is_refused(hub: str, tmp_path: Path) -> None:
    del Hub.files["model.safetensors"]
    with pytest.raises(ModelUnsupported, match="safetensors"):
        pull_model("org/small", tmp_path, endpoint=hub)
    assert pulled_models(tmp_path) == []


def test_pull_offline_names_the_remedy(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    with pytest.raises(EngineUnavailable, match="go online") as caught:
        pull_model("org/small", tmp_path, endpoint="http://127.0.0.1:9")
    assert caught.value.is_transient
    shutil.rmtree(tmp_path)
