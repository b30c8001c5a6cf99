"""Starts runs elsewhere: in Dagster, by its webserver, or as a process of their own. Which of the two is ``handing``'s."""

import json
import logging
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.supervisor.logs import open_log
from cortex_assets.partitions import FILES_SHARDS
from resources.settings import Settings, child_environment

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
JOB = "files"
LOCATION, REPOSITORY = "cortex", "__repository__"
"""Names under which the webserver knows the definitions (``apps.dagster_parts`` gives the first)."""
PATIENCE = 10.0
LAUNCH = """
mutation Launch($shard: String!, $location: String!, $repository: String!, $partitions: String!, $job: String!) {
  addDynamicPartition(
    repositorySelector: {repositoryLocationName: $location, repositoryName: $repository}
    partitionsDefName: $partitions, partitionKey: $shard
  ) { __typename }
  launchRun(executionParams: {
    selector: {repositoryLocationName: $location, repositoryName: $repository, jobName: $job}
    runConfigData: {}
    executionMetadata: {tags: [{key: "dagster/partition", value: $shard}, {key: "cortex/asked_by", value: "worker"}]}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""


_started: list["subprocess.Popen[bytes]"] = []
"""Kept, so that nobody is told that a process still runs: it is meant to."""


class NotLaunched(Exception):
    """Dagster does not take the run; the message says why."""


def launch_in_dagster(url: str, shards: Sequence[str]) -> list[str]:
    """Ask Dagster's webserver for a run of each shard; the run ids.

    Args:
        url: of the webserver, such as ``http://127.0.0.1:3000``.
        shards: what to run.

    Raises:
        NotLaunched: nobody answers there, or it refuses.
    """
    return [_launched(url, shard) for shard in shards]


def _launched(url: str, shard: str) -> str:
    names = {"location": LOCATION, "repository": REPOSITORY, "partitions": FILES_SHARDS, "job": JOB}
    content = json.dumps({"query": LAUNCH, "variables": {"shard": shard, **names}}).encode("utf-8")
    request = urllib.request.Request(  # noqa: S310 (the address is the supervisor's own, on the loopback interface)
        f"{url}/graphql", content, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            result: Mapping[str, Any] = json.loads(answer.read())
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise NotLaunched(f"Dagster does not answer: {error}") from None
    launched = (result.get("data") or {}).get("launchRun") or {}
    if launched.get("__typename") != "LaunchRunSuccess":
        raise NotLaunched(f"Dagster refuses: {launched.get('message') or launched.get('__typename') or result}"[:500])
    return str(launched["run"]["runId"])


def start_process(settings: Settings, corpora: Sequence[str]) -> "subprocess.Popen[bytes]":
    """``cortex run`` over some corpora (none: all) as a process of its own, which outlives this one; it writes to a log."""
    return start_command(settings, ["run", "--", *corpora], "runs")


def start_command(settings: Settings, words: Sequence[str], name: str) -> "subprocess.Popen[bytes]":
    """``cortex`` with some words as a process of its own, which outlives this one; it writes to the log of a name."""
    _, log = open_log(settings.logs, name)
    with open(log, "ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "apps.cli", *words],
            cwd=ROOT,
            env=child_environment(CORTEX_DATA=str(settings.data_dir), DAGSTER_HOME=str(settings.dagster_home)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    _started[:] = [one for one in _started if one.poll() is None]
    _started.append(process)
    return process
