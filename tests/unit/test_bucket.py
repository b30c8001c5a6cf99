"""An object store: conditions hold, and what it answers is told in our words."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from apps.doctor import store as doctor_store
from apps.doctor.report import BAD, GOOD
from apps.errors import explain
from cortex_assets.engine.admission import admit
from resources.bucket import Bucket, ObjectStoreError
from resources.machine import machine_name
from resources.settings import SettingsError, load_settings
from tests.object_store import KEY, SECRET, Store, serving

GIVEN = {
    "CORTEX_LAKE": "s3://bucket/some/lake/",
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": "token-of-the-tests",
}


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with serving() as server:
        yield server


def test_conditions_hold(store: Store) -> None:
    bucket = store.bucket("s3://lake/conditions")
    assert bucket.read("a") is None
    first = bucket.create("a", b"1")
    assert first is not None
    assert bucket.create("a", b"2") is None
    second = bucket.replace("a", b"3", first)
    assert second is not None
    assert bucket.replace("a", b"4", first) is None
    assert bucket.replace("gone", b"4", first) is None
    found = bucket.read("a")
    assert found is not None
    assert (found.content, found.tag) == (b"3", second)
    assert abs((bucket.now() - found.modified_at).total_seconds()) < 10
    bucket.write("b/c", b"12345")
    assert [(one.key, one.size) for one in bucket.list("")] == [("_locks/_clock", 8), ("a", 1), ("b/c", 5)]
    assert [one.key for one in bucket.list("", after="a")] == ["b/c"]
    bucket.delete("b/c")
    bucket.delete("b/c")
    assert bucket.list("b/") == []
    assert bucket.broken_promise() == ""
    assert bucket.list("_locks/_trial/") == []


class Careless(Bucket):
    """A store that ignores the conditions of a put, as some do."""

    def create(self, key: str, content: bytes) -> str | None:
        self.write(key, content)
        return "tag"


def test_a_store_without_conditions_is_found_out_and_refused(store: Store, tmp_path: Path) -> None:
    url = "s3://lake/careless"
    given = load_settings(tmp_path, store.environment(url))
    careless = replace(given, bucket=Careless(url, store.bucket(url).settings))
    (answers, conditions) = doctor_store.examine(careless)
    assert answers.state == GOOD
    assert (conditions.state, conditions.name) == (BAD, "conditional put")
    assert "created that was there already" in conditions.detail
    assert conditions.remedy
    with pytest.raises(ObjectStoreError, match="created that was there already"):
        admit(careless)
    admit(given)
    admit(given)
    assert [one.state for one in doctor_store.examine(given)] == [GOOD, GOOD]
    assert list(doctor_store.examine(load_settings(tmp_path, {}))) == []


def test_an_error_is_shown_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    said = explain(RuntimeError(f"the store answered: {SECRET} and token-of-the-tests"))
    assert "the store answered: █ and █" in said.what


def test_the_lake_may_be_on_an_object_store(tmp_path: Path) -> None:
    plain = load_settings(tmp_path, {})
    assert (plain.bucket, plain.lake_root, plain.lake_options) == (None, str(tmp_path / "data" / "lake"), None)
    assert plain.leases == plain.locks
    assert plain.machine is None
    assert not (tmp_path / "data").exists()
    settings = load_settings(tmp_path, GIVEN)
    assert settings.lake_root == "s3://bucket/some/lake"
    assert settings.lake_options is not None
    assert settings.lake_options["aws_conditional_put"] == "etag"
    assert settings.lake_options["AWS_REGION"] == "us-east-1"
    assert settings.machine == machine_name(settings.data_dir) == machine_name(settings.data_dir)
    assert settings.machine != machine_name(tmp_path / "other")
    assert settings == load_settings(tmp_path, GIVEN)
    assert hash(settings) == hash(load_settings(tmp_path, GIVEN))


def test_no_secret_is_shown(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, GIVEN)
    assert settings.bucket is not None
    shown = [repr(settings), str(settings.leases), repr(settings.bucket)]
    answer = json.dumps(GIVEN)
    shown += [settings.bucket.hide(answer), str(settings.bucket.explained(OSError(f"500 Internal: {answer}")))]
    for text in shown:
        for secret in (KEY, SECRET, "token-of-the-tests"):
            assert secret not in text


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"CORTEX_LAKE": "s3:/bucket"}, "CORTEX_LAKE='s3:/bucket' is not allowed: use a bucket"),
        ({"CORTEX_LAKE": "gs://bucket/x"}, "CORTEX_LAKE="),
        ({"CORTEX_LAKE": "s3://bucket/../x"}, "CORTEX_LAKE="),
        ({"CORTEX_LAKE": "s3://B/x"}, "CORTEX_LAKE="),
        ({"CORTEX_LAKE": f"s3://{KEY}:{SECRET}@bucket/x"}, "CORTEX_LAKE='s3://…'"),
        ({"AWS_ENDPOINT_URL": "s3.example.org"}, "AWS_ENDPOINT_URL is not allowed as it is"),
        ({"AWS_ENDPOINT_URL_S3": f"https://{KEY}@s3.example.org"}, "AWS_ENDPOINT_URL is not allowed as it is"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}, "AWS_ALLOW_HTTP=true"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "belong together"),
    ],
)
def test_bad_variables_are_named(tmp_path: Path, variables: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, GIVEN | variables)
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("error sending request for url (http://127.0.0.1:40343/)", "cannot be reached"),
        (
            "Server returned non-2xx status code: 403 Forbidden: <Code>SignatureDoesNotMatch</Code>",
            "refuses these credentials",
        ),
        ("404 Not Found: <Code>NoSuchBucket</Code>", "no such bucket"),
        ("501 Not Implemented", "conditional put"),
        ("418 I'm a teapot", "the object store failed (OSError)"),
    ],
)
def test_answers_are_told_in_our_words(answer: str, told: str) -> None:
    error = Bucket("s3://lake/x").explained(OSError(answer))
    assert isinstance(error, ObjectStoreError)
    assert told in str(error)
    assert answer not in str(error)
    assert "; " in str(error)
