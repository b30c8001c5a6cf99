"""The gate of migrations by golden sets: the questions that people wrote are asked of both layouts, and a loss is refused.

The two are measured one after the other over the same content, so that only the spaces differ; nothing is recorded, for ``cortex
eval`` records what serves. What a loss is says ``evaluation.compare``.
"""

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from cortex_assets.corpora.registry import Registered
from cortex_assets.gate import GateVerdict, no_golden_set
from cortex_assets.house import House
from inference.errors import InferenceError

if TYPE_CHECKING:
    from cortex_assets.evaluation.golden import GoldenSet

SHOWN = 3
"""Of so many questions that lost ranks the ids are told."""


def guarded(house: House) -> House:
    """A house whose migrations are judged by its golden sets, unless it has another gate."""
    if house.gate is no_golden_set:
        house.gate = partial(golden_gate, house)
    return house


def golden_gate(house: House, corpus: Registered, old_space: str, new_space: str) -> GateVerdict:
    """Refuse where a gated metric of a golden set that asks a corpus falls between its layout and its next one."""
    from cortex_assets.evaluation.derive import golden_sets
    from cortex_assets.evaluation.golden import GoldenError

    found = golden_sets(house.settings.golden)
    sets = [golden for golden in found.found if not golden.corpora or corpus.name in golden.corpora]
    if found.problems:
        return GateVerdict(False, f"a golden set cannot be read: {found.problems[0]}")
    if not sets or corpus.spaces.next is None:
        return no_golden_set(corpus, old_space, new_space)
    try:
        verdicts = [_judged(house, corpus.served_by(corpus.spaces.next), golden) for golden in sets]
    except (GoldenError, InferenceError) as error:
        return GateVerdict(False, str(error))
    losses = [verdict.note for verdict in verdicts if not verdict.allows]
    return GateVerdict(not losses, "; ".join(losses or [verdict.note for verdict in verdicts]))


def _judged(house: House, moved: Registered, golden: "GoldenSet") -> GateVerdict:
    """One set: what it says of a corpus as it is, and of the corpus in its next spaces."""
    from cortex_assets.evaluation.compare import HYBRID, Past, asks_of, compared
    from cortex_assets.evaluation.derive import resolve_gold
    from cortex_assets.evaluation.evaluate import measure, question_rows
    from cortex_assets.measuring import searches, subject_of

    registry, now = house.register.now(), datetime.now(UTC)
    resolved = resolve_gold(house.lake, golden, {one.corpus_id: one.name for one in registry.corpora})
    pasts, asks = [], {}
    for name, corpora in (("before", registry), ("after", registry.with_corpus(moved))):
        subject = subject_of(house, corpora, golden)
        hybrid = {HYBRID: searches(house, corpora, golden.corpora)[HYBRID]}
        asks[name] = asks_of(question_rows(golden, subject, measure(resolved, hybrid), ""))
        pasts.append(Past(name, golden.set_hash, now, subject.recipe, subject.content_hash))
    found = compared(pasts[0], pasts[1], lambda name: asks[name], house.settings.eval_tolerance)
    told = [f"{one.metric} {one.before:.3f} -> {one.after:.3f}" for one in found.metrics]
    if not any(one.has_fallen for one in found.metrics):
        return GateVerdict(True, f"golden set {golden.name}: {', '.join(told) or 'no question has gold'}")
    fallen = [f"{one.metric} {one.before:.3f} -> {one.after:.3f}" for one in found.metrics if one.has_fallen]
    worse = [one.question_id for one in found.changes if one.is_worse]
    more = f" and {len(worse) - SHOWN} more" if len(worse) > SHOWN else ""
    return GateVerdict(False, f"golden set {golden.name}: {', '.join(fallen)}; worse: {', '.join(worse[:SHOWN])}{more}")
