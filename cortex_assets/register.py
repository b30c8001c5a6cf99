"""The register of corpora: rows of ``human/corpora``, and what they are to be by the inbox and ``sources.yaml``.

What a corpus is made of is ``corpora.registry``'s and ``corpora.sources``'; its stages are the house's.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from cortex_assets.corpora.registry import DECLARED, INBOX, Registered, from_row, sync
from cortex_assets.corpora.schema import CORPORA
from cortex_assets.corpora.sources import Source, SourcesError, check_places, inbox_sources, parse_sources
from cortex_assets.engine.formats import CURRENT, SEVERAL_SPACES
from cortex_assets.engine.formats import record as record_format
from cortex_assets.engine.lease import LeaseBusy, take
from inference.lanes import Lane, parse_engine, resolve
from inference.models import ModelPlaces
from resources.inference import embed_models
from resources.lakehouse import LakeError, Lakehouse, literal
from resources.settings import Settings

log = logging.getLogger(__name__)

REGISTRY, REGISTER_SECONDS = "_registry", 10.0
"""Lease of whoever registers or changes corpora, and how long another process or machine is waited for that does."""


@dataclass(frozen=True)
class Registry:
    """The corpora as they are registered now."""

    corpora: tuple[Registered, ...]

    @property
    def shards(self) -> list[str]:
        """Every shard of every listed corpus that is this machine's to run."""
        return [shard for corpus in self.corpora if corpus.is_active for shard in corpus.shards]

    def by_name(self, name: str) -> Registered | None:
        """The corpus of a name."""
        return next((corpus for corpus in self.corpora if corpus.name == name), None)

    def with_corpus(self, changed: Registered) -> "Registry":
        """The registry with one corpus as it is now."""
        return Registry(tuple(changed if c.corpus_id == changed.corpus_id else c for c in self.corpora))

    def of_shard(self, shard: str) -> Registered | None:
        """The corpus that a shard belongs to."""
        return next((corpus for corpus in self.corpora if shard in corpus.shards), None)


class Register:
    """Reads and writes the corpora of a lake."""

    def __init__(self, lake: Lakehouse, settings: Settings, places: ModelPlaces) -> None:
        """Bind; nothing is read yet."""
        self._lake, self._settings, self._places = lake, settings, places
        self._leases, self._machine = settings.leases, settings.machine
        self.version = -1
        """Of the table, when it was read last."""

    def corpora(self) -> list[Registered]:
        """The rows of ``human/corpora``."""
        self.version = self._lake.version(CORPORA)
        rows = self._lake.scan(CORPORA).collect().sort("name")
        return [from_row(row, self._machine) for row in rows.iter_rows(named=True)]

    def now(self) -> Registry:
        """All of them."""
        return Registry(tuple(self.corpora()))

    def sync(self) -> Registry:
        """Register inbox folders and what sources.yaml declares; pause what is gone. Writes only what differs."""
        known, wanted = self._wanted()
        if wanted != known:
            with self._alone():
                known, wanted = self._wanted()
                self._save([corpus for corpus in wanted if corpus not in known])
        return Registry(tuple(wanted))

    def peek(self) -> Registry:
        """What ``sync`` would give; writes nothing."""
        return Registry(tuple(self._wanted()[1]))

    def _wanted(self) -> tuple[list[Registered], list[Registered]]:
        """(what is registered, what is to be)."""
        known = self.corpora()
        found = [*self._declared(), *self._inbox(known)]
        return known, sync(known, found, self._resolve, datetime.now(UTC), self._machine, self._code_lane())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Alone among those that write rows, so that no name is given twice and no change is lost."""
        deadline = time.monotonic() + REGISTER_SECONDS
        while True:
            try:
                lease = take(self._leases, REGISTRY)
                break
            except LeaseBusy as busy:
                if time.monotonic() > deadline:
                    raise LakeError(f"corpora are registered by another process, {busy.holder}; run again") from None
            time.sleep(0.2)
        with lease:
            yield

    def add(self, source: Source, origin: str) -> Registered:
        """Register one source that a person added, or change its settings."""
        check_places([source], self._settings.data_dir, self._settings.sources_file)
        with self._alone():
            known = self.corpora()
            others = [(c.origin, c.source) for c in known if c.is_active and c.source.uri != source.uri]
            wanted = sync(
                known, [*others, (origin, source)], self._resolve, datetime.now(UTC), self._machine, self._code_lane()
            )
            self._save([corpus for corpus in wanted if corpus not in known])
        return next(corpus for corpus in wanted if corpus.source.uri == source.uri and corpus.is_here)

    def save(self, corpus: Registered) -> None:
        """Write one corpus's row; its spaces stay those of the row as it is now, which only ``change`` changes."""

        def kept(now: Registered) -> Registered:
            return replace(corpus, embed=now.embed, space_id=now.space_id, spaces=now.spaces)

        self.change(corpus.corpus_id, kept)

    def change(self, corpus_id: str, changed: Callable[[Registered], Registered]) -> Registered | None:
        """Write one corpus's row anew, made of what it is now, while nobody else writes one; None where it is gone.

        Args:
            corpus_id: whose row.
            changed: gives the new row; one that equals the old is not written.
        """
        with self._alone():
            now = next((one for one in self.corpora() if one.corpus_id == corpus_id), None)
            if now is None:
                return None
            after = changed(now)
            if after != now:
                self._save([after])
            return after

    def _save(self, corpora: Sequence[Registered]) -> None:
        if corpora and self._lake.version(CORPORA) < 0:
            record_format(self._lake, CURRENT, datetime.now(UTC))
        elif any(len(corpus.every_space) > 1 for corpus in corpora):
            record_format(self._lake, SEVERAL_SPACES, datetime.now(UTC))
        for corpus in corpora:
            frame = pl.DataFrame([corpus.to_row()], schema=CORPORA.dtypes)
            self._lake.overwrite(CORPORA, frame, f"corpus_id = {literal(corpus.corpus_id)}")

    def _declared(self) -> list[tuple[str, Source]]:
        file = self._settings.sources_file
        if not file.is_file():
            return []
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise SourcesError(f"{file}: not UTF-8; save it as UTF-8") from None
        sources = parse_sources(text, file, Path.home())
        check_places(sources, self._settings.data_dir, file)
        return [(DECLARED, source) for source in sources]

    def _inbox(self, known: Sequence[Registered]) -> list[tuple[str, Source]]:
        inbox = self._settings.inbox
        with os.scandir(os.fsencode(inbox)) as entries:
            items = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        folders = [name for name, is_folder in items if is_folder]
        has_loose = any(not is_folder and not name.startswith(b".") for name, is_folder in items)
        mine = {corpus.source.uri: corpus.name for corpus in known if corpus.origin == INBOX and corpus.is_here}
        others = [corpus.name for corpus in known if corpus.origin != INBOX or not corpus.is_here]
        sources = inbox_sources(inbox, folders, mine, others)
        return [(INBOX, s) for s in sources if not s.is_flat or has_loose or str(inbox) in mine]

    def _code_lane(self) -> str | None:
        """The lane of code of new corpora, where ``inference.yaml`` says one."""
        is_said = embed_models(self._settings, "code_embed") != embed_models(self._settings)
        return "code_embed" if is_said else None

    def _resolve(self, lane: str | None) -> tuple[str, str]:
        """Choose the embedder of a new corpus: its lane's, or the one that the settings name."""
        default = tuple(parse_engine(model, "embed lane") for model in embed_models(self._settings))
        if lane in (None, "embed"):
            chosen = Lane("embed", default)
        elif lane in ("code", "code_embed"):
            own = tuple(parse_engine(one, "code lane") for one in embed_models(self._settings, lane))
            chosen = Lane("code", (*own, *default))
        else:
            chosen = Lane(str(lane), (parse_engine(lane, "embed"), *default))
        resolved = resolve(chosen, self._places)
        for model, reason in resolved.passed_over:
            log.warning("model %s is passed over: %s", model, reason)
        return resolved.engines[0].model, resolved.space.space_id
