"""Tables of the evaluation room: how well search finds what golden sets ask for, question by question and in numbers."""

import dataframely as dy

from cortex_assets.tables import Kind, TableSpec

MODES = ("hybrid", "words", "meaning")
"""What is evaluated: the search that people use, and each half of it alone."""
CLICKS = ("thumb_up", "thumb_down", "withdrawn", "opened")
_MODE = dy.String(
    regex=f"^({'|'.join(MODES)})$", metadata={"doc": "hybrid: as people search; words, meaning: one half"}
)


class Evaluations(dy.Schema):
    """One metric of one evaluation of a golden set, over its questions of one type. Append-only: it is the history."""

    evaluation_id = dy.String(
        metadata={"doc": "function of the golden set, of what was evaluated and of the one before"}
    )
    set_name = dy.String()
    set_version = dy.Int64(min=0)
    set_hash = dy.String(metadata={"doc": "of the questions and their gold"})
    sequence = dy.Int64(min=0, metadata={"doc": "which evaluation of the set, from 0"})
    evaluated_at = dy.Datetime(time_zone="UTC")
    space_ids = dy.List(
        dy.String(),
        metadata={"doc": "corpus id and the spaces that it was searched in; of earlier versions spaces alone"},
    )
    chunkers = dy.List(dy.String(), metadata={"doc": "producer versions that made the chunks"})
    retrieval = dy.String(metadata={"doc": "version of the search functions"})
    content_hash = dy.String(metadata={"doc": "of the points that were searched"})
    generations = dy.String(metadata={"doc": "JSON {shard: generation of its index}"})
    mode = _MODE
    question_type = dy.String(metadata={"doc": "all, or the questions' own type"})
    metric = dy.String(metadata={"doc": "such as recall@10, mrr@10, ndcg@10, span_recall@5, latency_p95_ms"})
    value = dy.Float64(metadata={"doc": "0..1; of latency milliseconds, which are measured"})
    low = dy.Float64(metadata={"doc": "lower end of the 95 % bootstrap interval"})
    high = dy.Float64()
    questions = dy.Int64(min=1, metadata={"doc": "that the metric is of"})
    skipped = dy.Int64(min=0, metadata={"doc": "questions of the type that have no gold left"})


class EvaluatedQuestions(dy.Schema):
    """One question of one evaluation: where its gold was found. Append-only."""

    evaluation_id = dy.String()
    set_name = dy.String()
    question_id = dy.String()
    question_hash = dy.String(metadata={"doc": "of question, type and gold: equal ones are compared over time"})
    question = dy.String()
    question_type = dy.String()
    mode = _MODE
    is_skipped = dy.Bool(metadata={"doc": "no gold is left, so nothing was asked"})
    gone = dy.List(dy.String(), metadata={"doc": "golds that are not there, and why"})
    gold_ranks = dy.List(dy.Int64(), metadata={"doc": "rank of each gold that is there, from 1; 0 = not found"})
    first_rank = dy.Int64(min=0, metadata={"doc": "of the best placed gold; 0 = none was found"})
    metrics = dy.List(dy.Struct({"name": dy.String(), "value": dy.Float64(min=0, max=1)}))
    top_chunks = dy.List(dy.String(), metadata={"doc": "ids of the hits, best first"})
    milliseconds = dy.Float64(min=0, metadata={"doc": "measured"})


class AcceptedEvaluations(dy.Schema):
    """An evaluation that a person took as the one to compare with (``cortex eval --accept``); the latest of a set counts."""

    set_name = dy.String()
    evaluation_id = dy.String()
    accepted_at = dy.Datetime(time_zone="UTC")


class Feedback(dy.Schema):
    """One click on a result of a search: what it says of the passage as an answer. Append-only; the latest thumb counts."""

    feedback_id = dy.String(metadata={"doc": "function of everything else in the row"})
    question = dy.String(metadata={"doc": "as it was asked"})
    how = dy.String(
        regex=f"^({'|'.join(CLICKS)})$", metadata={"doc": "withdrawn takes a thumb back; opened is no judgement"}
    )
    corpus_id = dy.String()
    path = dy.String(metadata={"doc": "display path in the corpus"})
    inner = dy.String(metadata={"doc": "of the document, see bronze/documents"})
    document_id = dy.String()
    text_hash = dy.String(metadata={"doc": "of the document as it was: finds it where it moved"})
    quote = dy.String(metadata={"doc": "the passage, verbatim; empty = the whole document"})
    start_char = dy.Int64(min=0, metadata={"doc": "where the quote was"})
    clicked_at = dy.Datetime(time_zone="UTC")


class DecidedCandidates(dy.Schema):
    """A candidate for a golden question that a person accepted or refused; it is not proposed again."""

    candidate_id = dy.String(metadata={"doc": "of the words of its question, which may be those of a source"})
    decision = dy.String(regex="^(accepted|refused)$")
    decided_at = dy.Datetime(time_zone="UTC")


EVALUATIONS = TableSpec(
    "gold/evaluations", Kind.GLOBAL, Evaluations, ("evaluation_id", "mode", "question_type", "metric")
)
EVALUATED_QUESTIONS = TableSpec(
    "gold/evaluated_questions", Kind.GLOBAL, EvaluatedQuestions, ("evaluation_id", "mode", "question_id")
)
ACCEPTED_EVALUATIONS = TableSpec(
    "human/accepted_evaluations", Kind.HUMAN, AcceptedEvaluations, ("set_name", "evaluation_id", "accepted_at")
)
FEEDBACK = TableSpec("human/feedback", Kind.HUMAN, Feedback, ("feedback_id",))
DECIDED_CANDIDATES = TableSpec(
    "human/decided_candidates", Kind.HUMAN, DecidedCandidates, ("candidate_id", "decided_at")
)
