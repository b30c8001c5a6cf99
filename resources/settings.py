"""What the environment says, read once: the only module that looks at ``os.environ``.

Add a field here when something must be set from outside, with its variable, its default and its allowed form. Settings
of one corpus belong in ``data/sources.yaml``, what a person decided belongs in the lake under ``human/``.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from resources.bucket import Bucket, LeasePlace
from resources.machine import machine_name

_SIZE_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_SIZE_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_DURATION_UNITS = {"": 86_400, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION")
_INHERITED_GIT = frozenset({"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_PROXY_COMMAND"})


class SettingsError(ValueError):
    """An environment variable cannot be used; names the variable, the value and the allowed form."""


class DiskFullError(RuntimeError):
    """Too little free space to write; names the path, what is free, what is needed and the remedy."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are and how far a run may go.

    Attributes:
        data_dir: absolute folder that holds everything Cortex writes.
        dagster_home: Dagster's folder.
        retention: how long old versions stay (vacuum, log, as_of).
        history: how long rows about past runs, checks, scans and findings stay.
        sweep_age: how old what nothing names must be before maintenance removes it.
        min_free_fraction: share of the disk (0..1) that must stay free.
        min_free_bytes: bytes that must stay free; both limits hold.
        qdrant_url: a Qdrant server, or None for the embedded index.
        slice_files: files a slice takes at most.
        slice_seconds: seconds after which a slice takes no more files.
        embed: which embedder serves: ``packaged``, ``hash`` (tests), or the name of a configured model.
        max_file_bytes: larger files become rows of status ``too_large``.
        still_seconds: how long size and mtime must have stood still before a file is taken.
        workers: processes or threads a stage may use.
        webhooks: file that says whom to tell what happens, or None for ``webhooks.yaml`` in the data folder.
        bucket: the object store that the lake's tables are on, or None for a folder.
        lease_seconds: on an object store, how long a lease lasts that is not renewed.
        eval_tolerance: a metric (0..1) of an evaluation that fell by no more has not fallen.
        embed_key: for an embedding server; never to be shown.
        rerank: what judges the first of a ranking once more: ``none``, ``late``, ``hf:org/name``, ``rerank:<model>@<url>``.
        rerank_key: for a rerank server; never to be shown.
        quantize: how the index scans vectors: ``none``, ``int8`` or ``binary`` (``vectors.quantizing``).
        inference: file that says which models serve which lane, or None for ``inference.yaml`` in the data folder.
        log: form of log lines, ``text`` or ``json`` (``logs``).
        is_traced: calls of models leave OpenTelemetry spans.
        said: of ``CORTEX_EMBED`` and ``CORTEX_RERANK``, those that the environment sets: they come before ``inference.yaml``.
        lane_variables: the variables ``CORTEX_LANE_*``; never to be shown, keys are among them.
    """

    data_dir: Path
    dagster_home: Path
    retention: timedelta = timedelta(days=7)
    min_free_fraction: float = 0.05
    min_free_bytes: int = 2 * 10**9
    qdrant_url: str | None = None
    slice_files: int = 500
    slice_seconds: float = 300.0
    embed: str = "packaged"
    max_file_bytes: int = 2 * 2**30
    still_seconds: float = 2.0
    workers: int = 2
    webhooks: Path | None = None
    history: timedelta = timedelta(days=400)
    sweep_age: timedelta = timedelta(hours=24)
    bucket: Bucket | None = None
    lease_seconds: float = 60.0
    eval_tolerance: float = 0.01
    embed_key: str = field(default="", repr=False)
    rerank: str = "none"
    rerank_key: str = field(default="", repr=False)
    quantize: str = "none"
    inference: Path | None = None
    log: str = "text"
    is_traced: bool = False
    said: frozenset[str] = frozenset()
    lane_variables: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def inbox(self) -> Path:
        """Folders in it register themselves as corpora."""
        return self.data_dir / "inbox"

    @property
    def sources_file(self) -> Path:
        """Declares corpora that live elsewhere."""
        return self.data_dir / "sources.yaml"

    @property
    def golden(self) -> Path:
        """Golden sets: questions with the passages that answer them, written by people; there need not be any."""
        return self.data_dir / "golden"

    @property
    def webhooks_file(self) -> Path:
        """Declares the receivers of messages; there need not be one."""
        return self.webhooks or self.data_dir / "webhooks.yaml"

    @property
    def inference_file(self) -> Path:
        """Declares lanes and engines; there need not be one."""
        return self.inference or self.data_dir / "inference.yaml"

    @property
    def calls(self) -> Path:
        """The ledger of model calls that all processes of this machine share, until they are in the lake."""
        return self.data_dir / "calls" / "calls.sqlite"

    @property
    def completions(self) -> Path:
        """Answers of models, to be given again; may be deleted at any time."""
        return self.cache / "completions.sqlite"

    @property
    def webhook_spool(self) -> Path:
        """Messages that wait for their receivers."""
        return self.cache / "webhooks"

    @property
    def lake(self) -> Path:
        """Root of the Delta tables where they are in a folder; see ``lake_root``."""
        return self.data_dir / "lake"

    @property
    def lake_root(self) -> str:
        """Root of the Delta tables, wherever it is."""
        return str(self.lake) if self.bucket is None else self.bucket.url

    @property
    def lake_options(self) -> dict[str, str] | None:
        """What opens ``lake_root`` where it is on an object store; never to be shown."""
        return None if self.bucket is None else self.bucket.options

    @property
    def leases(self) -> Path | LeasePlace:
        """Where leases are taken: a folder, or for a lake that machines share the object store."""
        if self.bucket is None:
            return self.locks
        return LeasePlace(self.locks, self.bucket, machine_name(self.data_dir), self.lease_seconds)

    @property
    def machine(self) -> str | None:
        """Name of this machine among those that share the lake; None where nobody does."""
        return None if self.bucket is None else machine_name(self.data_dir)

    @property
    def index(self) -> Path:
        """Root of the index generations."""
        return self.data_dir / "index"

    @property
    def raw(self) -> Path:
        """Root of the content-addressed store."""
        return self.data_dir / "raw"

    @property
    def cache(self) -> Path:
        """What can be deleted at any time: the state cache, git checkouts."""
        return self.data_dir / "cache"

    @property
    def locks(self) -> Path:
        """Lease files of this machine's processes."""
        return self.data_dir / "locks"

    @property
    def up(self) -> Path:
        """What ``cortex up`` says of its parts: ports, process ids, the worker's token."""
        return self.data_dir / "up"

    @property
    def logs(self) -> Path:
        """What the parts of ``cortex up`` write."""
        return self.data_dir / "logs"

    @property
    def passwords(self) -> Path:
        """Password files of corpora with encrypted documents, written by people only."""
        return self.data_dir / "passwords"

    @property
    def models(self) -> Path:
        """Downloaded model weights."""
        return self.data_dir / "models"


def load_settings(start: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        start: folder that a relative ``CORTEX_DATA`` (default ``data``) is meant from; the working directory when None.
        environment: what to read instead of the process's environment (tests).

    Raises:
        SettingsError: a variable has a value of another form than allowed.
    """
    env = os.environ if environment is None else environment
    base = Path.cwd() if start is None else start
    data_dir = (base / (env.get("CORTEX_DATA") or "data")).absolute()
    if odd := re.search(r"[%?#]", str(data_dir)):
        allowed = f"a folder whose path holds no {odd[0]!r}, which Delta and SQLite take for part of an address"
        raise _error("CORTEX_DATA", str(data_dir), allowed)
    home = env.get("DAGSTER_HOME")
    fraction, free_bytes = _min_free(env.get("CORTEX_MIN_FREE") or "5%,2GB")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return Settings(
        data_dir=data_dir,
        dagster_home=(base / home).absolute() if home else data_dir / ".dagster",
        retention=timedelta(seconds=_duration("CORTEX_RETENTION", env.get("CORTEX_RETENTION") or "7d")),
        min_free_fraction=fraction,
        min_free_bytes=free_bytes,
        qdrant_url=_url("CORTEX_QDRANT_URL", env.get("CORTEX_QDRANT_URL")),
        slice_files=_whole("CORTEX_SLICE_FILES", env.get("CORTEX_SLICE_FILES") or "500", least=1),
        slice_seconds=_number("CORTEX_SLICE_SECONDS", env.get("CORTEX_SLICE_SECONDS") or "300"),
        embed=_name("CORTEX_EMBED", env.get("CORTEX_EMBED") or "packaged"),
        max_file_bytes=_size("CORTEX_MAX_FILE", env.get("CORTEX_MAX_FILE") or "2GiB"),
        still_seconds=_number("CORTEX_STILL_SECONDS", env.get("CORTEX_STILL_SECONDS") or "2"),
        history=timedelta(seconds=_duration("CORTEX_HISTORY", env.get("CORTEX_HISTORY") or "400d")),
        sweep_age=timedelta(seconds=_duration("CORTEX_SWEEP_AGE", env.get("CORTEX_SWEEP_AGE") or "24h")),
        workers=_whole("CORTEX_WORKERS", env.get("CORTEX_WORKERS") or str(min(cores, 8)), least=1),
        webhooks=(base / Path(env["CORTEX_WEBHOOKS"]).expanduser()).absolute() if env.get("CORTEX_WEBHOOKS") else None,
        bucket=_bucket(env),
        lease_seconds=_number("CORTEX_LEASE_SECONDS", env.get("CORTEX_LEASE_SECONDS") or "60", least=1.0),
        eval_tolerance=_share("CORTEX_EVAL_TOLERANCE", env.get("CORTEX_EVAL_TOLERANCE") or "0.01"),
        embed_key=env.get("CORTEX_EMBED_KEY") or "",
        rerank=_reranker("CORTEX_RERANK", env.get("CORTEX_RERANK") or "none"),
        rerank_key=env.get("CORTEX_RERANK_KEY") or "",
        inference=(base / Path(env["CORTEX_INFERENCE"]).expanduser()).absolute()
        if env.get("CORTEX_INFERENCE")
        else None,
        log=_one_of("CORTEX_LOG", env.get("CORTEX_LOG") or "text", ("text", "json")),
        is_traced=_one_of("CORTEX_TRACE", env.get("CORTEX_TRACE") or "off", ("off", "on")) == "on",
        said=frozenset(name for name in ("CORTEX_EMBED", "CORTEX_RERANK") if env.get(name)),
        lane_variables=tuple(sorted((name, env[name]) for name in env if name.startswith("CORTEX_LANE_"))),
        quantize=_one_of("CORTEX_QUANTIZE", env.get("CORTEX_QUANTIZE") or "none", ("none", "int8", "binary")),
    )


def settings_of(data_dir: Path) -> Settings:
    """The settings as ``load_settings`` reads them, for another data folder than the environment names."""
    return load_settings(environment={**os.environ, "CORTEX_DATA": str(data_dir)})


def named_secret(variable: str) -> str | None:
    """The value of a variable that a configuration file names as the place of a secret."""
    return os.environ.get(variable)


def free_space_guard(path: Path, settings: Settings, needed: int = 0) -> None:
    """Refuse to go on when the disk of ``path`` has too little free space.

    Args:
        path: a file or folder on the disk in question; it need not exist yet.
        settings: holds both limits.
        needed: bytes that are about to be written; they must fit above the limits.

    Raises:
        DiskFullError: below a limit.
    """
    present = path
    while not present.exists() and present != present.parent:
        present = present.parent
    usage = shutil.disk_usage(present)
    limit = max(int(usage.total * settings.min_free_fraction), settings.min_free_bytes)
    if usage.free - needed < limit:
        raise DiskFullError(
            f"{path}: {usage.free / 1e9:.2f} GB free on its disk, {needed / 1e9:.2f} GB to write, and "
            f"{limit / 1e9:.2f} GB must stay free. Free some space, run `cortex maintain`, or lower CORTEX_MIN_FREE "
            "(for example '1%,500MB')."
        )


def quiet_math_threads() -> None:
    """Two threads for numpy's BLAS that sleep at once, unless the environment says otherwise; call it before numpy is imported.

    Where numpy embeds (``bert_numpy``) a long text is done sooner by two; more have too little to do. By
    OpenBLAS' own habit they would go on waiting at full speed for 20 ms and fight the index and torch for the cores: a
    search took 24-32 ms instead of 9.7 ms.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "16")  # as a power of two, in cycles


def child_environment(**extra: str) -> dict[str, str]:
    """The environment for a child process: this one's, without ``GIT_DIR`` and its like, plus ``extra``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _INHERITED_GIT}
    return kept | extra


def _error(variable: str, value: str, allowed: str) -> SettingsError:
    return SettingsError(f"{variable}={value!r} is not allowed: use {allowed}.")


def _whole(variable: str, value: str, least: int) -> int:
    if not re.fullmatch(r"\d{1,12}", value.strip()) or int(value) < least:
        raise _error(variable, value, f"a whole number from {least}, such as 4")
    return int(value)


def _number(variable: str, value: str, least: float = 0.0) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d+)?", value.strip()) or float(value) < least:
        raise _error(variable, value, f"a number of seconds from {least:g}, such as 2 or 0.5")
    return float(value)


def _share(variable: str, value: str) -> float:
    if not re.fullmatch(r"(0?\.\d{1,9}|0|1|1\.0{1,9})", value.strip()):
        raise _error(variable, value, "a number from 0 to 1, such as 0.01")
    return float(value)


def _one_of(variable: str, value: str, allowed: tuple[str, ...]) -> str:
    if value.strip().lower() not in allowed:
        raise _error(variable, value, f"one of {', '.join(allowed)}")
    return value.strip().lower()


def _size(variable: str, value: str) -> int:
    match = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)\s*([A-Za-z]*)", value.strip())
    if match is None or match[2].lower() not in _SIZE_UNITS:
        raise _error(variable, value, "a size such as 500MB, 2GiB or a number of bytes")
    return int(float(match[1]) * _SIZE_UNITS[match[2].lower()])


def _duration(variable: str, value: str) -> float:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*([dhms]?)", value.strip())
    if match is None:
        raise _error(variable, value, "a time such as 7d, 36h or a number of days")
    return float(match[1]) * _DURATION_UNITS[match[2]]


def _min_free(value: str) -> tuple[float, int]:
    fraction, size = 0.0, 0
    for part in value.split(","):
        percent = re.fullmatch(r"\s*(\d{1,3}(?:\.\d+)?)\s*%\s*", part)
        if percent is None:
            size = _size("CORTEX_MIN_FREE", part)
        elif float(percent[1]) < 100:
            fraction = float(percent[1]) / 100
        else:
            raise _error("CORTEX_MIN_FREE", value, "a share below 100%, a size, or both, such as 5%,2GB")
    return fraction, size


def _url(variable: str, value: str | None) -> str | None:
    if not value:
        return None
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise _error(variable, value, "a URL such as http://127.0.0.1:6333")
    return value.rstrip("/")


def _bucket(env: Mapping[str, str]) -> Bucket | None:
    """The object store of the lake, and how it is reached. No value of ``AWS_*`` is put into an error: it may be a secret."""
    url = (env.get("CORTEX_LAKE") or "").strip()
    if not url:
        return None
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=-]+)*/?", url, re.ASCII) or "/.." in url:
        shown = "s3://…" if "@" in url or "?" in url else url
        raise _error("CORTEX_LAKE", shown, "a bucket and a folder in it, such as s3://bucket/lake")
    found = {name: env[name] for name in _AWS if env.get(name)}
    endpoint = env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or ""
    if endpoint:
        if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", endpoint):
            raise SettingsError("AWS_ENDPOINT_URL is not allowed as it is: use a URL such as https://s3.example.org.")
        found["AWS_ENDPOINT_URL"] = endpoint.rstrip("/")
    if (env.get("AWS_ALLOW_HTTP") or "").lower() in {"1", "true", "yes"}:
        found["AWS_ALLOW_HTTP"] = "true"
    elif endpoint.startswith("http://"):
        raise SettingsError("AWS_ENDPOINT_URL is not encrypted: use https, or allow it with AWS_ALLOW_HTTP=true.")
    if ("AWS_ACCESS_KEY_ID" in found) != ("AWS_SECRET_ACCESS_KEY" in found):
        raise SettingsError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both, or none.")
    found.setdefault("AWS_REGION", env.get("AWS_DEFAULT_REGION") or "us-east-1")
    return Bucket(url.rstrip("/"), tuple(sorted(found.items())))


def _has_host(value: str) -> bool:
    """Whether the address at the end, if there is one, has a host and a port that can be."""
    _, _, url = value.rpartition("@")
    try:
        parts = urlsplit(url)
        return "://" not in url or (parts.hostname is not None and parts.port != 0)
    except ValueError:
        return False


def _reranker(variable: str, value: str) -> str:
    if not re.fullmatch(r"none|late|hf:[\w.-]+/[\w.-]+|rerank:[^@\s]+@https?://[^\s@]+", value) or not _has_host(value):
        raise _error(variable, value, "none, late, hf:org/name or rerank:<model>@http://host:port/v1")
    return value


def _name(variable: str, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/:@#-]*", value):
        raise _error(variable, value, "packaged, hash, or the name of a configured model")
    return value
