"""How well answers without a generator answer, and how far their confidence is to be believed.

``python -m tests.bench answers`` reports on half b of XQuAD en; ``python -m tests.bench.answers --fit`` prints the constants of
``cortex_assets.retrieval.confidence`` as half a gives them (numpy alone). Code is reported, never fitted: its questions have
one right function each, though another may do as well.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cortex_assets.retrieval.answer import HITS_READ, Draft, answer, chance_of, draft
from cortex_assets.retrieval.candidates import candidates, embedded_text, sentence_features, telling
from cortex_assets.retrieval.confidence import MEANING, SUPPORTED_FROM, WEAK_FROM, WORDS, Calibration, Logistic
from inference.lanes import EngineConfig, load_embedder
from inference.models import ModelPlaces
from tests.bench.answer_cases import Case, Remembering, code_cases, verify, xquad_cases
from tests.bench.figures import Figure, Part
from tests.bench.retrieval_bench import DATA, half_of

Numbers = npt.NDArray[np.float64]

SHARES = {"here": 2.0, "far": 1.0, "near": 1.0}
"""How much a case of each kind counts, so that half of what is asked can be answered."""
FORMS = ("question", "keywords", "word")
"""As ``answer_cases.forms`` makes them; a word alone says too little to be answered, so only its calibration has a target."""
BINS = 10
WARM = 50
TARGETS = {
    "AUC": 0.95,
    "AUC far": 0.98,
    "F1": 0.88,
    "F1 far": 0.95,
    "ECE": 0.05,
    "holds the answer": 0.9,
    "first sentence": 0.75,
}


# -- fitting ---------------------------------------------------------------------------------------------------------------


def fit(features: Numbers, labels: Numbers, weights: Numbers, ridge: float = 1.0) -> Logistic:
    """A logistic regression by Newton's method.

    Args:
        features: (cases, features).
        labels: (cases,), 0 or 1.
        weights: (cases,): how much each counts.
        ridge: penalty on the weights of standardized features.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    scaled = np.column_stack((np.ones(len(features)), (features - mean) / spread))
    penalty = ridge * np.eye(scaled.shape[1])
    penalty[0, 0] = 0.0
    found = np.zeros(scaled.shape[1])
    for _ in range(50):
        chances = 1 / (1 + np.exp(-scaled @ found))
        slope = scaled.T @ (weights * (chances - labels)) + penalty @ found
        curve = (scaled.T * (weights * chances * (1 - chances))) @ scaled + penalty
        step = np.linalg.solve(curve, slope)
        found -= step
        if np.abs(step).max() < 1e-9:
            break
    plain = found[1:] / spread
    bias = float(found[0] - plain @ mean)
    return Logistic(round(bias, 3), tuple(round(float(one), 3) for one in plain))


def fit_sentences(cases: Sequence[Case], embed: Remembering | None) -> Logistic:
    """Whether a sentence holds the answer, over all sentences of the cases where one of them does."""
    features, labels = [], []
    for case in cases:
        hits = case.result.hits[:HITS_READ]
        for one in candidates(case.question, hits, telling(case.question, case.result.term_weights)):
            hit = hits[one.hit]
            row = sentence_features(one, hit)
            if embed is not None:
                question, sentence = embed([case.question, embedded_text(one, hit)])
                dense = hit.dense_score
                row += (0.0 if dense is None else float(question @ sentence) - dense,)
            features.append(row)
            labels.append(any(gold in hit.text[one.piece.start : one.piece.end] for gold in case.gold))
    return fit(np.array(features), np.array(labels, dtype=float), np.ones(len(labels)))


def fitted(cases: Sequence[Case], embed: Remembering | None) -> Calibration:
    """All regressions; those over whole answers judge what the first one chooses."""
    embed_all(cases, embed)
    asked = [case for case in cases if case.form != "word"]
    sentence = fit_sentences([case for case in asked if case.kind == "here"], embed)
    words = [case for case in cases if case.form == "word"]
    return Calibration(sentence, fit_drafts(asked, sentence, embed), fit_drafts(words, sentence, embed))


def fit_drafts(cases: Sequence[Case], sentence: Logistic, embed: Remembering | None) -> Logistic:
    """Whether what is chosen holds the answer."""
    constants = Calibration(sentence, Logistic(0.0, ()), Logistic(0.0, ()))
    drafts = [draft(case.question, case.result, verify, constants, embed) for case in cases]
    rows = [(case, one) for case, one in zip(cases, drafts, strict=True) if one.quotes]
    features = np.array([one.features for _, one in rows])
    labels = np.array([holds(case, one) for case, one in rows], dtype=float)
    weights = np.array([SHARES[case.kind] for case, _ in rows])
    return fit(features, labels, weights)


def embed_all(cases: Sequence[Case], embed: Remembering | None) -> None:
    """Embed every sentence of the cases in one batch."""
    if embed is None:
        return
    texts = []
    for case in cases:
        hits = case.result.hits[:HITS_READ]
        found = candidates(case.question, hits, telling(case.question, case.result.term_weights))
        texts += [case.question, *(embedded_text(one, hits[one.hit]) for one in found)]
    embed(texts)


def holds(case: Case, one: Draft) -> bool:
    """Whether what is quoted has the answer in it, or is of the function that was looked for."""
    return any(gold in quote.hit.citation.quote or gold == quote.hit.text for quote in one.quotes for gold in case.gold)


def starts_well(case: Case, one: Draft) -> bool:
    """Whether the best sentence alone has the answer in it; says nothing of code, where the answer is a whole function."""
    return any(gold in one.best for gold in case.gold)


# -- figures ---------------------------------------------------------------------------------------------------------------


def area(scores: Numbers, labels: Numbers, weights: Numbers) -> float:
    """Area under the ROC curve: the chance that one of label 1 scores above one of label 0, ties half."""
    order = np.argsort(scores, kind="stable")
    scores, labels, weights = scores[order], labels[order], weights[order]
    _, begin = np.unique(scores, return_index=True)
    no = np.add.reduceat(weights * (1 - labels), begin)
    yes = np.add.reduceat(weights * labels, begin)
    below = np.concatenate(([0.0], np.cumsum(no)[:-1]))
    return float((yes * (below + no / 2)).sum() / (yes.sum() * no.sum()))


def calibration_error(chances: Numbers, labels: Numbers, weights: Numbers) -> float:
    """Expected calibration error over ``BINS`` bins of equal width."""
    bins = np.minimum((chances * BINS).astype(int), BINS - 1)
    total = 0.0
    for one in np.unique(bins):
        mine = weights * (bins == one)
        total += abs(float((mine * (chances - labels)).sum()))
    return total / float(weights.sum())


def measured(cases: Sequence[Case], constants: Calibration, embed: Remembering | None) -> dict[str, float]:
    """Every figure over some cases with given constants."""
    embed_all(cases, embed)
    drafts = [draft(case.question, case.result, verify, constants, embed) for case in cases]
    chances = np.array([chance_of(case.question, one, constants) for case, one in zip(cases, drafts, strict=True)])
    held = np.array([holds(case, one) for case, one in zip(cases, drafts, strict=True)], dtype=float)
    first = np.array([starts_well(case, one) for case, one in zip(cases, drafts, strict=True)], dtype=float)
    sentences = np.array([len(one.quotes) for one in drafts], dtype=float)
    kinds = np.array([case.kind for case in cases])
    weights = np.array([SHARES[kind] for kind in kinds])
    here = kinds == "here"
    found: dict[str, float] = {
        "holds the answer": held[here].mean(),
        "first sentence": first[here].mean(),
        "quotes": sentences[here].mean(),
        "ECE": calibration_error(chances, held, weights),
        "supported here": (chances >= SUPPORTED_FROM)[here].mean(),
    }
    for name, among in (("", here | True), (" far", kinds != "near"), (" near", kinds != "far")):
        can, chance, weight = here[among].astype(float), chances[among], weights[among]
        if can.all() or not can.any():
            continue
        says = chance >= WEAK_FROM
        right = (weight * says * can).sum()
        found[f"AUC{name}"] = area(chance, can, weight)
        found[f"F1{name}"] = 2 * right / ((weight * says).sum() + (weight * can).sum())
        found[f"accuracy{name}"] = (weight * (says == can)).sum() / weight.sum()
        if name:
            found[f"not none{name}"] = says[can == 0].mean()
            found[f"supported{name}"] = (chance >= SUPPORTED_FROM)[can == 0].mean()
    return {name: round(float(value), 4) for name, value in found.items()}


def report(data: Path, scratch: Path) -> dict[str, dict[str, float]]:
    """Figures on half b of XQuAD by meaning and by words, in each form; and on code.

    Raises:
        FileNotFoundError: a set is absent.
    """
    embed = Remembering(load_embedder(EngineConfig(), _places(scratch), bulk=True))
    cases = [case for case in xquad_cases(data, embed, scratch) if half_of(case.question_id) == "b"]
    code = code_cases(data, embed, scratch)
    by_meaning = MEANING[next(prefix for prefix in MEANING if embed.space_id.startswith(prefix))]
    found = {}
    for name, constants, embedder in (("meaning", by_meaning, embed), ("words", WORDS, None)):
        for form in FORMS:
            found[f"{name}, {form}"] = measured([case for case in cases if case.form == form], constants, embedder)
        found[f"{name}, code"] = measured(code, constants, embedder)
    found["time"] = {
        "milliseconds": round(milliseconds([case for case in cases if case.form == "question"], scratch), 1)
    }
    return found


def milliseconds(cases: Sequence[Case], scratch: Path) -> float:
    """Median time of an answer with the embedder that serves single questions, beyond the search."""
    embedder = load_embedder(EngineConfig(), _places(scratch), bulk=False)
    embedder.embed_batch(["warm"])
    took = []
    for case in cases[:WARM]:
        begin = time.perf_counter()
        answer(case.question, case.result, verify, embedder.embed_batch)
        took.append(1e3 * (time.perf_counter() - begin))
    return float(np.median(took))


def run(scratch: Path, asked: argparse.Namespace) -> Part:
    """Answers to XQuAD en, half b, through the real embedder and index."""
    try:
        found = report(asked.data, scratch)
    except FileNotFoundError as error:
        return Part("answers", skipped=f"{Path(str(error.filename)).name} is absent")
    part = Part("answers", details={"report": found})
    for form in FORMS:
        values = found[f"meaning, {form}"]
        words = found[f"words, {form}"]
        for name, target in TARGETS.items():
            reachable = target if form != "word" or name == "ECE" else None
            bound = {"target": reachable, "is_most": name == "ECE"}
            part.figures.append(
                Figure(f"{form}: {name}", values[name], "share", **bound, note=f"by words {words[name]}")
            )
    part.figures.append(Figure("answer, beyond the search", found["time"]["milliseconds"], "ms", 150))
    return part


def _places(scratch: Path) -> ModelPlaces:
    return ModelPlaces(scratch / "models", scratch / "cache")


def main() -> None:
    """Print the constants, or what they are worth on the half that they were fitted on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with retrieval/ and code_search/")
    parser.add_argument("--fit", action="store_true", help="print the constants as half a gives them")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if not asked.fit:
            print(json.dumps(report(asked.data, scratch), indent=2))
            return
        embed = Remembering(load_embedder(EngineConfig(), _places(scratch), bulk=True))
        cases = [case for case in xquad_cases(asked.data, embed, scratch) if half_of(case.question_id) == "a"]
        for name, embedder in (("WORDS", None), (embed.space_id, embed)):
            constants = fitted(cases, embedder)
            print(name, constants, json.dumps(measured(cases, constants, embedder)))


if __name__ == "__main__":
    main()
