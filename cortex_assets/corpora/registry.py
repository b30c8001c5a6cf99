"""Which corpora there are: registered rows and found sources in, rows to write out (pure).

A corpus is matched by its place, then by its name, so a rename keeps its id and its rows; of two that want one name the
later gets a short hash of its place beside it. What is not found any more is
paused: kept and shown, not listed, not deleted. Where machines share a lake, a corpus belongs to the one that registered it:
its folder is there, so the others neither look at it nor pause it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from cortex_assets import identity, partitions
from cortex_assets.corpora.sources import Source
from cortex_assets.corpora.spaces import ONE_SPACE, Layout, Live, Spaces

ADDED, DECLARED, INBOX = "added", "declared", "inbox"


@dataclass(frozen=True, slots=True)
class Registered:
    """A row of ``human/corpora`` with its settings read.

    Attributes:
        corpus_id: its id; a function of the name it was first registered under.
        source: where it is and what is taken of it.
        origin: ``added`` by a person, ``declared`` in sources.yaml, or a folder of the ``inbox``.
        embed: configuration of its embedder, resolved at registration and changed by a migration only.
        space_id: the embedding space that this gave: the main one that is searched.
        shard_count: 0 until the first whole listing.
        shard_epoch: raised by a re-sharding.
        is_listed: false = paused.
        registered_at: when.
        resharding: (from, to) while the number of shards is being changed, also where that was cut off.
        machine: which of several that share the lake has its source; None = no one in particular.
        spaces: what there is beside the main space: one for code, those of a migration.
        is_here: whether that is this machine; not part of the row.
    """

    corpus_id: str
    source: Source
    origin: str
    embed: str
    space_id: str
    shard_count: int
    shard_epoch: int
    is_listed: bool
    registered_at: datetime
    resharding: tuple[int, int] | None = None
    machine: str | None = None
    is_here: bool = True
    spaces: Spaces = ONE_SPACE

    @property
    def layout(self) -> Layout:
        """The spaces that are searched."""
        return Layout(Live(self.embed, self.space_id), self.spaces.code)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The spaces that are searched, then those of a migration under way or kept for a rollback."""
        others = (self.spaces.next, self.spaces.previous)
        return (self.layout, *(layout for layout in others if layout is not None))

    @property
    def every_space(self) -> list[str]:
        """Every space that is kept for it, each once; the main one that is searched first."""
        return list(dict.fromkeys(live.space_id for layout in self.layouts for live in layout.lives))

    def served_by(self, layout: Layout) -> "Registered":
        """Searched in the spaces of a layout."""
        return replace(
            self,
            embed=layout.main.embed,
            space_id=layout.main.space_id,
            spaces=replace(self.spaces, code=layout.code),
        )

    @property
    def is_active(self) -> bool:
        """Whether this machine looks at its source and runs it."""
        return self.is_listed and self.is_here

    @property
    def name(self) -> str:
        """What people call it."""
        return self.source.name

    @property
    def shards(self) -> list[str]:
        """Its shards; one before the first listing."""
        return partitions.shard_names(self.name, self.shard_count)

    @property
    def every_shard(self) -> list[str]:
        """Its shards, and those that it had or will have while their number is being changed."""
        counts = (self.shard_count, *(self.resharding or ()))
        return list(dict.fromkeys(shard for n in counts for shard in partitions.shard_names(self.name, n)))

    def to_row(self) -> dict[str, Any]:
        """The row of ``human/corpora``."""
        settings = asdict(self.source) | {"origin": self.origin, "embed_config": self.embed}
        if settings["code"] is None:
            del settings["code"]
        if spaces := self.spaces.to_json():
            settings["spaces"] = spaces
        if self.resharding is not None:
            settings["resharding"] = list(self.resharding)
        return {
            "corpus_id": self.corpus_id,
            "name": self.source.name,
            "kind": self.source.kind,
            "uri": self.source.uri,
            "settings": json.dumps(settings, sort_keys=True, ensure_ascii=False),
            "shard_count": self.shard_count,
            "shard_epoch": self.shard_epoch,
            "space_id": self.space_id,
            "is_listed": self.is_listed,
            "registered_at": self.registered_at,
            "machine": self.machine,
        }


def from_row(row: Mapping[str, Any], machine: str | None = None) -> Registered:
    """Inverse of ``Registered.to_row``, as it is seen on a machine (None: one that shares its lake with nobody)."""
    settings = json.loads(row["settings"])
    origin, embed = settings.pop("origin"), settings.pop("embed_config")
    resharding = settings.pop("resharding", None)
    spaces = Spaces.from_json(settings.pop("spaces", {}))
    for name in ("include", "exclude", "allow"):
        settings[name] = tuple(settings.get(name, ()))
    return Registered(
        row["corpus_id"],
        Source(**settings),
        origin,
        embed,
        row["space_id"],
        row["shard_count"],
        row["shard_epoch"],
        row["is_listed"],
        row["registered_at"],
        None if resharding is None else (resharding[0], resharding[1]),
        row["machine"],
        machine is None or row["machine"] in (None, machine),
        spaces,
    )


def sync(
    registered: Sequence[Registered],
    found: Sequence[tuple[str, Source]],
    resolve: Callable[[str | None], tuple[str, str]],
    now: datetime,
    machine: str | None = None,
    code_lane: str | None = None,
) -> list[Registered]:
    """Bring the registry up to date.

    Args:
        registered: what is registered.
        found: (origin, source) of everything declared or found now; what was ``added`` need not be among it.
        resolve: lane name or None to (embedder configuration, space id); asked for new corpora only.
        now: time of a registration.
        code_lane: lane of the embedder of code where a source names none; None = the one for all else.
        machine: which looked, where several share the lake; what others registered stays as it is.

    Returns:
        Every corpus as it is to be, sorted by name.
    """
    olds = _matches([corpus for corpus in registered if corpus.is_here], found)
    result: dict[str, Registered] = {}
    for origin, source in found:
        old = olds.get(source.uri)
        if old is not None:
            name = old.name if old.shard_count > 0 else source.name
            named = replace(source, name=name)
            owner = machine or old.machine
            result[old.corpus_id] = replace(old, source=named, origin=origin, is_listed=True, machine=owner)
    for corpus in registered:
        if corpus.corpus_id not in result:
            is_own = machine is None or corpus.machine == machine
            stays = corpus.origin == ADDED or not is_own
            result[corpus.corpus_id] = corpus if stays else replace(corpus, is_listed=False)
    for origin, source in found:
        if source.uri not in olds:
            main = Live(*resolve(source.embed))
            code_model = source.code or code_lane
            code = Live(*resolve(code_model)) if code_model else main
            name = _free_name(source, result, machine)
            new_id = identity.corpus_id(name)
            named = replace(source, name=name)
            registered_now = Registered(
                new_id, named, origin, main.embed, main.space_id, 0, 0, True, now, machine=machine
            )
            result[new_id] = registered_now.served_by(Layout(main, None if code.space_id == main.space_id else code))
    return sorted(result.values(), key=lambda corpus: corpus.name)


def _matches(registered: Sequence[Registered], found: Sequence[tuple[str, Source]]) -> dict[str, Registered]:
    """Place of a found source to the registered corpus that it is: all of them by place first, the rest by name."""
    by_place = {corpus.source.uri: corpus for corpus in registered}
    matches = {source.uri: by_place[source.uri] for _, source in found if source.uri in by_place}
    claimed = {corpus.corpus_id for corpus in matches.values()}
    by_name = {corpus.name: corpus for corpus in registered if corpus.corpus_id not in claimed}
    for origin, source in found:
        old = by_name.get(source.name)
        if source.uri in matches or old is None or (old.origin == ADDED != origin and old.is_listed):
            continue
        matches[source.uri] = by_name.pop(source.name)
    return matches


def _free_name(source: Source, taken: Mapping[str, Registered], machine: str | None) -> str:
    """A name that no other corpus has or was first registered under: the source's own, or with a short hash of its place."""
    place = source.uri if machine is None else f"{machine}:{source.uri}"
    names = {corpus.name for corpus in taken.values()}
    if source.name not in names and identity.corpus_id(source.name) not in taken:
        return source.name
    return f"{source.name[:56]}-{identity.content_id(place)[:6]}"
