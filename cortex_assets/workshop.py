"""The workshop: a corpus in, its chain of stages out. Which stages there are is said here; what they do is the rooms'."""

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

from cortex_assets.chunks.derive import ChunksCompute, chunks_derivation
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.sources import Source, nested_below
from cortex_assets.documents.derive import DocumentsCompute, documents_derivation
from cortex_assets.documents.model import ParseOptions
from cortex_assets.documents.redact import Redaction
from cortex_assets.engine.chain import Chain
from cortex_assets.engine.corpus import Corpus
from cortex_assets.engine.files import FilesStage
from cortex_assets.engine.live import Board
from cortex_assets.engine.stage import MapStage
from cortex_assets.engine.verify import ShardStages
from cortex_assets.register import Registry
from cortex_assets.spaces import Doors, space_stages
from cortex_assets.taking import media_types, media_version
from inference.errors import ModelMissing
from inference.lanes import EngineConfig, ResidentEmbedders, load_tokenizer, parse_engine, space_of
from inference.models import ModelPlaces
from inference.protocols import IdsTokenizer, Reranker, Space
from inference.reranking import reranker_of
from resources.crew import Crew
from resources.inference import embed_models, rerank_model
from resources.lakehouse import Lakehouse
from resources.passwords import read_passwords
from resources.raw_store import RawStore, checked_file
from resources.sandbox import Sandbox
from resources.settings import Settings, free_space_guard
from resources.state import State
from resources.vectors.protocol import VectorStore

PARSE_SECONDS = 120.0
PARSE_MEGABYTES = 2_048


class Workshop:
    """Makes the chains of corpora over open stores, each once; close it at the end."""

    def __init__(
        self,
        settings: Settings,
        lake: Lakehouse,
        state: State,
        raw: RawStore,
        store: Callable[[], VectorStore],
        places: ModelPlaces,
        board: Board,
        found: Callable[[str, Mapping[str, int]], None],
    ) -> None:
        """Bind; nothing is loaded or started yet.

        Args:
            settings: of the data folder.
            lake: the tables.
            state: the state cache.
            raw: the bytes.
            store: gives the index, opened at first use.
            places: where models are.
            board: hears which documents a run is at.
            found: hears of secrets in a shard, by rule, before their rows are committed.
        """
        self._settings, self._lake, self._state, self._raw, self._store = settings, lake, state, raw, store
        self._places, self._board, self._found = places, board, found
        self.embedders = ResidentEmbedders(places)
        self.crew = Crew(settings.workers - 1, settings.cache / "crew")
        self.doors = Doors(lake, state, store, self.crew, places, self.embedders, self._guard_index)
        self._tokenizers: dict[str, IdsTokenizer] = {}
        self._loading = threading.Lock()
        self._chains: dict[str, tuple[Registered, Chain, ShardStages]] = {}
        self._sandbox: Sandbox | None = None

    def close(self) -> None:
        """End the children."""
        if self._sandbox is not None:
            self._sandbox.close()
        self.crew.close()

    def config(self, corpus: Registered) -> EngineConfig:
        """The engine configuration of a corpus's main space."""
        return parse_engine(corpus.embed, f"corpus {corpus.name}")

    def cut(self, corpus: Registered) -> EngineConfig:
        """The engine by whose tokenizer and limit a corpus's chunks are cut."""
        return parse_engine(corpus.spaces.cut or corpus.embed, f"corpus {corpus.name}")

    def space(self, corpus: Registered) -> Space:
        """The embedding space that a corpus's model makes now; ``corpus.space_id`` is the one that is searched."""
        return self.space_of(self.config(corpus))

    def space_of(self, config: EngineConfig) -> Space:
        """The embedding space of an engine."""
        return space_of(config, self._places)

    def tokenizer(self, config: EngineConfig) -> IdsTokenizer:
        """The tokenizer of an engine, loaded once."""
        with self._loading:
            if config.model not in self._tokenizers:
                self._tokenizers[config.model] = load_tokenizer(config, self._places)
            return self._tokenizers[config.model]

    @cached_property
    def reranker(self) -> Reranker | None:
        """What judges the first of a ranking once more, where one is configured."""
        settings = self._settings
        embed = parse_engine(embed_models(settings)[0], "embed lane")
        return reranker_of(rerank_model(settings), self._places, embed, settings.rerank_key)

    def sandbox(self) -> Sandbox:
        """The pool of child processes for isolated parsers, started at first use."""
        if self._sandbox is None:
            self._sandbox = Sandbox(1, PARSE_SECONDS, PARSE_MEGABYTES)
        return self._sandbox

    def corpus_to_list(self, corpus: Registered, registry: Registry) -> Corpus:
        """What the intake needs of a corpus."""
        source = corpus.source
        below = nested_below([c.source for c in registry.corpora if c.is_active], self._settings.data_dir)
        root = Path(source.uri)
        if source.kind == "git":
            root = self._settings.cache / "git" / corpus.corpus_id
        return Corpus(
            corpus.corpus_id,
            corpus.name,
            root,
            max(1, corpus.shard_count),
            "raw" if source.raw == "copy" else "reference",
            source.include,
            source.exclude,
            below.get(corpus.name, ()),
            source.is_flat,
            source.max_bytes or self._settings.max_file_bytes,
            0 if source.kind == "git" else int(self._settings.still_seconds * 1e9),
        )

    def chain(self, corpus: Registered, registry: Registry) -> Chain:
        """The stages of a corpus of files."""
        return self._made(corpus, registry)[0]

    def stages(self, corpus: Registered, registry: Registry) -> ShardStages:
        """The stages that plans and verification look at."""
        return self._made(corpus, registry)[1]

    def _made(self, corpus: Registered, registry: Registry) -> tuple[Chain, ShardStages]:
        known = self._chains.get(corpus.corpus_id)
        if known is not None and known[0] == corpus:
            return known[1:]
        config = self.cut(corpus)
        space = self.space_of(config)
        listed = self.corpus_to_list(corpus, registry)
        redaction = redaction_of(corpus.source)
        documents = DocumentsCompute(
            self._raw_path(listed),
            self.sandbox,
            corpus.source.keep_last_good,
            lambda: ParseOptions(read_passwords(self._settings.passwords, corpus.name)),
            redaction=redaction,
            found=self._found,
            at=lambda shard, path: self._board.at(shard, "documents", [path]),
        )
        tokenizer_name = f"{config.model}:{space.space_id}"
        limit = space.max_tokens
        chunks = ChunksCompute(lambda: self.tokenizer(config), limit, self.crew, config, self._places)
        files = FilesStage(listed, self._lake, self._state, self._raw, media_types, media_version())
        maps = (
            MapStage(documents_derivation(redaction), documents, self._lake, self._state),
            MapStage(chunks_derivation(tokenizer_name, limit), chunks, self._lake, self._state, self._board.at),
        )
        first, *beside = space_stages(corpus, self.doors)
        if first.embed is None:
            raise ModelMissing(
                f"no engine makes vectors for corpus {corpus.name}; remedy: pull its model {corpus.embed}"
            )
        stages = ShardStages(files, maps, first.embed, first.index, tuple(beside))
        in_order = [stage for one in (first, *beside) for stage in (one.embed, one.index) if stage is not None]
        chain = Chain([files, *maps, *in_order], self._settings.slice_files, self._settings.slice_seconds)
        self._chains[corpus.corpus_id] = corpus, chain, stages
        return chain, stages

    def _guard_index(self) -> None:
        if not self._settings.qdrant_url:
            free_space_guard(self._settings.index, self._settings)

    def _raw_path(self, corpus: Corpus) -> Callable[[Mapping[str, Any]], AbstractContextManager[Path]]:
        root = os.path.realpath(os.fsencode(corpus.root))

        def path(row: Mapping[str, Any]) -> AbstractContextManager[Path]:
            if row["store"] == "raw" and self._raw.has(row["content_hash"]):
                return nullcontext(self._raw.path_of(row["content_hash"]))
            # What is not there was withheld, or is damaged: the file itself, if its bytes still are what they were.
            raw_path = row["raw_path"] if row["raw_path"] is not None else row["path"].encode("utf-8")
            return checked_file(root, raw_path, row["content_hash"])

        return path

    def original(self, corpus: Registered, registry: Registry, row: Mapping[str, Any]) -> AbstractContextManager[Path]:
        """Where the bytes of a row of ``bronze/files`` are to be read: the raw store, or the file itself while it has its hash.

        Raises (on entering):
            OSError: they are not there any more, or lead out of the corpus.
        """
        return self._raw_path(self.corpus_to_list(corpus, registry))(row)


def redaction_of(source: Source) -> Redaction:
    """What is masked in a corpus of that source."""
    return Redaction(source.secrets, source.personal_data, source.allow)
