"""Every place below the data folder that keeps content, or what was made of it, and what takes it out again.

For whoever must be sure that a text is gone: after ``cortex remove --purge`` and ``cortex maintain`` beyond the retention
no place here holds it. A new store or table gets its line here; a test fails where a file lies in no place.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from cortex_assets.engine.care import TABLES


@dataclass(frozen=True, slots=True)
class Holder:
    """A place.

    Attributes:
        place: folder or file below the data folder; with ``*`` at the end, every name that begins so.
        keeps: what of a source is in it.
        leaves: what removes it.
    """

    place: str
    keeps: str
    leaves: str

    def holds(self, path: PurePosixPath) -> bool:
        """Whether a path relative to the data folder lies in this place."""
        if self.place.endswith("*"):
            return str(path).startswith(self.place[:-1])
        return path == PurePosixPath(self.place) or PurePosixPath(self.place) in path.parents


TOLD_HOLDERS = (
    Holder(
        "lake/gold/evaluated_questions",
        "golden questions as their author wrote them, ids of what they found",
        "whoever deletes them: they are the history of evaluations",
    ),
    Holder(
        "lake/human/feedback",
        "questions that people asked, passages of results that they judged or opened",
        "a purge of the passage's corpus, no run; old versions: maintain, by retention",
    ),
    Holder("lake/human/decided_candidates", "ids of questions; no content", "nothing has to"),
)
"""Tables that no run takes anything out of."""
TABLE_HOLDERS = tuple(
    Holder(f"lake/{name}", f"rows of {name}", "the next run or a purge; old versions: maintain, by retention")
    for name in (table.name for table in TABLES)
    if f"lake/{name}" not in {holder.place for holder in TOLD_HOLDERS}
)
HOLDERS = (
    Holder("inbox/.incoming", "dropped files on their way", "the end of the drop; where it was cut off, the next one"),
    Holder("inbox", "the sources themselves", "whoever put them there; Cortex never does"),
    Holder("sources.yaml", "places and globs of declared corpora", "whoever wrote it"),
    Holder(
        "golden", "golden sets: questions, paths, first and last words of passages", "whoever wrote or accepted them"
    ),
    *TOLD_HOLDERS,
    *TABLE_HOLDERS,
    Holder(
        "raw",
        "bytes of taken files by their hash; of those with secrets only where a corpus asks for them",
        "maintain, once no retained version names them for 24 hours; those with secrets: the run that finds them",
    ),
    Holder(
        "index",
        "vectors, terms and payloads with the chunks' text, for each embedding space",
        "the next publish, the end of a migration, or a purge",
    ),
    Holder("cache/state.sqlite*", "raw paths, stats and hashes of files", "a run or a purge; may be deleted whole"),
    Holder("inference.yaml", "which models serve which lane; no content", "whoever wrote it"),
    Holder(
        "calls",
        "calls of models: engines, tokens, names of shards; no content",
        "the drain into the lake, after three days",
    ),
    Holder(
        "cache/completions.sqlite*",
        "answers of models, made of documents",
        "a purge of the corpus, or their age; may be deleted whole",
    ),
    Holder("cache/live", "paths of files that runs work on, or worked on last", "the shard's next run or a purge"),
    Holder("cache/columns", "ids and hashes of rows; no content", "a later run; may be deleted whole"),
    Holder("cache/git", "checkouts of repositories", "maintain, once their corpus is not registered"),
    Holder(
        "cache/webhooks", "messages that wait: names of corpora, counts, reasons", "delivery; given up after three days"
    ),
    Holder("cache/digests.json*", "which model files were verified; no content", "may be deleted whole"),
    Holder("cache/producers.json*", "versions of functions; no content", "may be deleted whole"),
    Holder("cache/definitions.json*", "names in modules of code; no content", "may be deleted whole"),
    Holder("cache/crew", "texts and vectors on their way between processes of a run", "its end, or maintain"),
    Holder("cache/dagster-events", "counts of what runs did", "the next run, or maintain"),
    Holder(
        "restoring", "a lake on its way back from a backup, and the one before", "the restore's end, or the next one"
    ),
    Holder("cache/object-store", "URL of the lake; no content", "may be deleted whole"),
    Holder("cache/format.json*", "format of the lake; no content", "may be deleted whole"),
    Holder(
        "snapshots",
        "the lake as it was before an upgrade",
        "maintain, a retention (and a day at least) after the upgrade",
    ),
    Holder("passwords", "passwords of encrypted documents", "whoever put them there"),
    Holder("models", "weights; no content", "whoever pulled them"),
    Holder(
        "machine*", "name of this machine among those that share the lake; no content", "stays as long as the folder"
    ),
    Holder("up", "ports and process ids, the worker's token; no content", "the end of cortex up"),
    Holder("logs", "names of corpora, counts, reasons", "cortex up, above ten megabytes each"),
    Holder("locks", "names of shards and processes", "may be deleted while nothing runs"),
    Holder(".dagster", "counts, paths and reasons in events and logs", "Dagster's own retention"),
)


def holder_of(path: PurePosixPath) -> Holder | None:
    """The place that a path relative to the data folder lies in, or None."""
    return next((holder for holder in HOLDERS if holder.holds(path)), None)
