"""Retrieval quality as figures: what ``retrieval_bench`` measures, with the floors of the plain method as targets."""

import argparse
from pathlib import Path
from typing import Any

from tests.bench import retrieval_bench
from tests.bench.figures import Figure, Part

SETS = {"xquad_en": ("hit@1", "hit@5"), "cosqa_dev": ("mrr@100",)}
TARGETS = {"hit@1": 0.93, "hit@5": 0.985}


def run(scratch: Path, asked: argparse.Namespace) -> Part:
    """XQuAD en and CoSQA dev through the real embedder and index; fusion against its better half."""
    report = retrieval_bench.report(asked.data, scratch)
    part = Part("quality", details={"report": report})
    for name, metrics in SETS.items():
        found: Any = report[name]
        for metric in metrics:
            if isinstance(found, str):
                part.figures.append(Figure(f"{name} {metric}", None, "share", note=found))
                continue
            values = {kind: found[kind][metric]["all"] for kind in ("dense", "sparse", "hybrid")}
            halves = max(values["dense"], values["sparse"])
            note = f"dense {values['dense']}, sparse {values['sparse']}"
            target = TARGETS.get(metric, halves - 0.005)
            part.figures.append(Figure(f"{name} {metric}", values["hybrid"], "share", target, is_most=False, note=note))
    return part
