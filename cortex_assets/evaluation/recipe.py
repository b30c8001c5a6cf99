"""What an evaluation was made by, content aside: which corpus is in which embedding spaces, the chunkers, the search. Pure.

Which evaluations are compared is ``compare``'s question. A corpus that is added or removed is content, so it is no other recipe; one
that both recipes know and that is in other spaces is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace


def space_entry(corpus_id: str, space_ids: Iterable[str]) -> str:
    """A corpus and the spaces that it is searched in, the main one first, as ``Recipe.space_ids`` holds them."""
    return " ".join((corpus_id, *space_ids))


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a change of quality may come from besides content.

    Attributes:
        space_ids: a ``space_entry`` a corpus. Evaluations of earlier versions hold bare space ids; against those, only the sets of
            spaces are compared.
        chunkers: producer versions.
        retrieval: version of the search functions.
    """

    space_ids: tuple[str, ...]
    chunkers: tuple[str, ...]
    retrieval: str

    @property
    def spaces_by_corpus(self) -> dict[str, str] | None:
        """Corpus id to its spaces; None where only the spaces are known."""
        pairs = [entry.partition(" ") for entry in self.space_ids]
        return {corpus: spaces for corpus, _, spaces in pairs} if all(space for _, space, _ in pairs) else None

    @property
    def spaces(self) -> frozenset[str]:
        """All spaces that are searched."""
        by_corpus = self.spaces_by_corpus
        return frozenset(" ".join(self.space_ids if by_corpus is None else by_corpus.values()).split())

    def differs(self, other: "Recipe") -> tuple[str, ...]:
        """In which of ``space``, ``chunker``, ``retrieval``."""
        differs = {
            "space": self._has_other_spaces(other),
            "chunker": self.chunkers != other.chunkers,
            "retrieval": self.retrieval != other.retrieval,
        }
        return tuple(name for name, is_other in differs.items() if is_other)

    def _has_other_spaces(self, other: "Recipe") -> bool:
        mine, theirs = self.spaces_by_corpus, other.spaces_by_corpus
        if mine is None or theirs is None:
            return self.spaces != other.spaces
        return any(mine[corpus] != theirs[corpus] for corpus in mine.keys() & theirs.keys())

    def joined(self, later: "Recipe") -> "Recipe":
        """This recipe, knowing also the corpora that a later one of the same knows."""
        mine, theirs = self.spaces_by_corpus, later.spaces_by_corpus
        if mine is None or theirs is None:
            return later if mine is None else self
        return replace(
            self, space_ids=tuple(f"{corpus} {spaces}" for corpus, spaces in sorted((mine | theirs).items()))
        )
