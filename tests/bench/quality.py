"""Retrieval quality as figures: fusion against its better half, on the reported half of each set (``half_of`` the id is ``b``).

XQuAD en and CoSQA dev go through ``retrieval_bench``; the demo corpus goes through the commands that people use, with sixty
questions written by hand (``golden/README.md``).
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.bench import retrieval_bench
from tests.bench.corpus import settle
from tests.bench.figures import Figure, Part
from tests.bench.process import cortex
from tests.bench.retrieval_bench import half_of

TARGETS = {("xquad_en", "hit@1"): 0.945, ("xquad_en", "hit@5"): 0.99, ("cosqa_dev", "mrr@100"): 0.58}
BELOW_THE_BETTER_HALF = 0.005
DEMO, GOLDEN = "demo_corpus", Path(__file__).parent / "golden" / "demo_corpus.yaml"
DEMO_METRICS = ("ndcg@10", "span_recall@10")
REPORTED = "b"


def run(scratch: Path, asked: argparse.Namespace) -> Part:
    """Every set whose data is there."""
    report = retrieval_bench.report(asked.data, scratch)
    part = Part("quality", details={"report": report})
    for (name, metric), target in TARGETS.items():
        found: Any = report[name]
        if isinstance(found, str):
            part.figures.append(Figure(f"{name} {metric}", None, "share", note=found))
            continue
        values = {kind: found[kind][metric][REPORTED] for kind in ("dense", "sparse", "hybrid")}
        note = f"all {found['hybrid'][metric]['all']}, half a {found['hybrid'][metric]['a']}"
        part.figures.append(Figure(f"{name} {metric}", values["hybrid"], "share", target, is_most=False, note=note))
        part.figures.append(_against_halves(f"{name} {metric}", values["hybrid"], values["dense"], values["sparse"]))
    _demo(part, scratch / "demo", asked.data / DEMO)
    return part


def _against_halves(name: str, hybrid: float, dense: float, sparse: float, note: str = "") -> Figure:
    said = f"meaning alone {dense}, words alone {sparse}" + (f"; {note}" if note else "")
    least = max(dense, sparse) - BELOW_THE_BETTER_HALF
    return Figure(f"{name} against its better half", hybrid, "share", least, is_most=False, note=said)


def _demo(part: Part, scratch: Path, corpus: Path) -> None:
    """The demo corpus as a person has it: dropped into the inbox, run, evaluated; all questions and the reported half."""
    if not corpus.is_dir():
        part.figures.append(Figure(f"{DEMO} ndcg@10", None, "share", note=f"skipped: {corpus.name} is absent"))
        return
    inbox = scratch / "data" / "inbox" / DEMO
    shutil.copytree(corpus, inbox)
    settle(inbox)
    golden = scratch / "data" / "golden"
    golden.mkdir(parents=True)
    whole = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))
    half = [question for question in whole["questions"] if half_of(question["id"]) == REPORTED]
    for name, questions in ((DEMO, whole["questions"]), (f"{DEMO}_{REPORTED}", half)):
        text = yaml.safe_dump({**whole, "set": name, "questions": questions}, allow_unicode=True)
        (golden / f"{name}.yaml").write_text(text, encoding="utf-8")
    cortex(["run", "--json"], scratch, CORTEX_EMBED="packaged")
    found = cortex(["eval", "--halves", "--json"], scratch, CORTEX_EMBED="packaged").json()
    part.details["demo"] = found
    for one in found["sets"]:
        told = {(line["mode"], line["metric"]): line for line in one["metrics"] if line["question_type"] == "all"}
        for metric in DEMO_METRICS:
            hybrid, words, meaning = (told[mode, metric] for mode in ("hybrid", "words", "meaning"))
            note = ", ".join(
                f"{name} {line['low']:.3f} to {line['high']:.3f}"
                for name, line in (("hybrid", hybrid), ("meaning", meaning), ("words", words))
            )
            note += f"; {hybrid['questions']} questions"
            part.figures.append(
                _against_halves(f"{one['name']} {metric}", hybrid["value"], meaning["value"], words["value"], note)
            )
