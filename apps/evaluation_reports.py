"""What evaluations of golden sets give back; beside ``apps.reports``, which says how reports are made."""

from dataclasses import dataclass
from datetime import datetime

from apps.search_reports import SearchResponse

REGRESSION = "regression"
MODES = ("hybrid", "words", "meaning")
"""The search that people use, and each half of it alone."""


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One metric over the questions of one type (``all``: every one), with its 95 % interval; of latency milliseconds."""

    mode: str
    question_type: str
    metric: str
    value: float
    low: float
    high: float
    questions: int
    skipped: int


@dataclass(frozen=True, slots=True)
class MetricChangeLine:
    """A gated metric over the questions that both evaluations asked; ``low`` and ``high`` are those of the difference."""

    metric: str
    before: float
    after: float
    difference: float
    low: float
    high: float
    has_fallen: bool


@dataclass(frozen=True, slots=True)
class RankChangeLine:
    """A question whose golds are found at other ranks than before, one rank a gold; 0 = not among the hits."""

    question_id: str
    question: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    is_worse: bool


@dataclass(frozen=True, slots=True)
class GoneLine:
    """A question some or (``is_skipped``) all of whose gold is not there, and why."""

    question_id: str
    question: str
    reasons: tuple[str, ...]
    is_skipped: bool


@dataclass(frozen=True, slots=True)
class PastLine:
    """An evaluation in the history of a set: what moved since the one before, and its main metrics of the hybrid search."""

    evaluation_id: str
    evaluated_at: datetime
    moved: tuple[str, ...]
    metrics: dict[str, float]
    questions: int
    is_baseline: bool


@dataclass(frozen=True, slots=True)
class SetEvaluated:
    """The latest evaluation of a golden set.

    Attributes:
        name: of the set.
        version: of the set, as its author counts.
        evaluation_id: empty where no question has gold that is there.
        evaluated_at: when; None as there.
        is_new: it was made now; otherwise nothing moved since.
        is_recorded: whether it is part of the history.
        state: ``baseline``, ``drift``, ``held`` or ``regression``; empty where it was not compared.
        baseline_at: when that was evaluated which it is compared with.
        moved: what is other than there, of space, chunker, retrieval, content, set.
        metrics: in all modes, over all questions and by type.
        gated: the metrics that decide.
        changes: questions that changed rank, worse ones first.
        pairs: questions that both asked.
        gone: questions some of whose gold is not there.
        history: the oldest first.
    """

    name: str
    version: int
    evaluation_id: str
    evaluated_at: datetime | None
    is_new: bool
    is_recorded: bool
    state: str
    baseline_at: datetime | None
    moved: tuple[str, ...]
    metrics: tuple[MetricLine, ...]
    gated: tuple[MetricChangeLine, ...]
    changes: tuple[RankChangeLine, ...]
    pairs: int
    gone: tuple[GoneLine, ...]
    history: tuple[PastLine, ...]

    @property
    def is_empty(self) -> bool:
        """No question has gold that is there."""
        return not self.metrics


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Golden sets evaluated, and what is wrong with those that cannot be."""

    sets: tuple[SetEvaluated, ...]
    problems: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_well(self) -> bool:
        """Nothing got worse by a change of ours, and every set could be used."""
        return not self.problems and not any(one.state == REGRESSION or one.is_empty for one in self.sets)


@dataclass(frozen=True, slots=True)
class QualityReport:
    """All golden sets: those evaluated, names of those that were not yet, what is wrong with files, and the folder they lie in."""

    sets: tuple[SetEvaluated, ...]
    waiting: tuple[str, ...]
    problems: tuple[str, ...]
    folder: str


@dataclass(frozen=True, slots=True)
class Click:
    """What a person said of a result by a click.

    Attributes:
        question: what was asked.
        how: ``thumb_up``, ``thumb_down``, ``withdrawn`` (a thumb taken back) or ``opened``.
        document_id: whose passage it is.
        chunk_id: the passage; where it is gone meanwhile, what was cited of it stands for it.
        start_char: first character of what was cited.
        end_char: one past the last.
        clicked_at: when (aware).
    """

    question: str
    how: str
    document_id: str
    chunk_id: str
    start_char: int
    end_char: int
    clicked_at: datetime


@dataclass(frozen=True, slots=True)
class Noted:
    """How many clicks were written down, and how many were not: their documents are gone."""

    noted: int
    gone: int = 0


@dataclass(frozen=True, slots=True)
class GoldLine:
    """A passage that a candidate takes for an answer: where, its first and last words, and its grade of 1 to 3."""

    place: str
    begins: str
    ends: str
    grade: int


@dataclass(frozen=True, slots=True)
class AskedNow:
    """A golden question asked now: its gold, and the hits that the search gives."""

    golds: tuple[GoldLine, ...]
    response: SearchResponse


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """A question that might go into a golden set.

    Attributes:
        candidate_id: of it.
        question: as it would be asked.
        question_type: such as ``question`` or ``keywords``.
        origin: ``clicks`` or ``heading``.
        told: where it comes from.
        golds: what answers it.
    """

    candidate_id: str
    question: str
    question_type: str
    origin: str
    told: str
    golds: tuple[GoldLine, ...]


@dataclass(frozen=True, slots=True)
class CandidatesReport:
    """Candidates, those from clicks first; ``lost``: passages that were clicked on and are not found any more."""

    candidates: tuple[CandidateLine, ...]
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Decided:
    """Candidates that were accepted (into ``file``) or refused (``file`` is empty)."""

    questions: tuple[str, ...]
    file: str = ""
