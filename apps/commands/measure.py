"""``cortex eval`` and ``cortex feedback``: how well search finds what it should. What they do is in ``apps.actions``, ``apps.reader``."""

from collections.abc import Mapping
from typing import Annotated

import typer

from apps import actions, reader
from apps.commands.options import Json
from apps.errors import FOUND, USAGE, CommandError
from apps.evaluation_reports import EvaluationReport
from apps.terminal import console, evaluations
from apps.terminal.meters import meter

Set = Annotated[str | None, typer.Argument(metavar="[SET]", help="Name of a golden set; without one, all of them.")]
Limit = Annotated[
    int,
    typer.Option(
        "--limit",
        "-k",
        min=1,
        max=100,
        help="Look at so many hits, to that depth in all metrics; only 10 is recorded.",
    ),
]
Halves = Annotated[
    bool, typer.Option("--halves", help="Show words alone and meaning alone beside the search that uses both.")
]
Changes = Annotated[bool, typer.Option("--changes", help="List every question that changed rank.")]
History = Annotated[bool, typer.Option("--history", help="Only show the evaluations there are; nothing is asked.")]
Against = Annotated[
    str | None,
    typer.Option("--against", metavar="ID", help="Compare the latest with this one of the history; nothing is asked."),
]
Accept = Annotated[
    bool, typer.Option("--accept", help="Take the present quality as the one to compare with from now on.")
]
Candidates = Annotated[bool, typer.Option("--candidates", help="Only list questions that might go into a golden set.")]
AcceptCandidates = Annotated[
    bool, typer.Option("--accept-candidates", help="Put all of them into golden/accepted.yaml; nothing is asked.")
]
Refuse = Annotated[
    list[str] | None,
    typer.Option("--refuse", metavar="ID", help="Have a candidate not proposed again; may be repeated."),
]


def evaluate(
    name: Set = None,
    k: Limit = 10,
    halves: Halves = False,
    changes: Changes = False,
    history: History = False,
    against: Against = None,
    accept: Accept = False,
    candidates: Candidates = False,
    accept_candidates: AcceptCandidates = False,
    refuse: Refuse = None,
    as_json: Json = False,
) -> None:
    """Measure how well search finds what it should.

    Asks the questions of the golden sets in data/golden, whose answers are known, and compares with the evaluation that was
    accepted last. Nothing is asked where nothing moved. Ends with 1 when a change of space, chunker or retrieval lost quality, or a
    set cannot be used.
    """
    _check_asked_alone(
        {"--refuse": refuse, "--accept-candidates": accept_candidates, "--candidates": candidates, "--against": against}
        | {"--history": history, "--accept": accept},
        name,
    )
    if refuse or accept_candidates or candidates:
        _propose(refuse, accept_candidates, as_json)
    elif against is not None or history:
        _look_back(name, against, halves, as_json)
    else:
        report = _measured(name, k, accept)
        console.show(report, as_json, lambda one: evaluations.report(one, halves, changes))
        if not report.is_well:
            raise typer.Exit(FOUND)


def _propose(refuse: list[str] | None, is_accepted: bool, as_json: bool) -> None:
    """Candidates refused, accepted, or else listed."""
    if refuse or is_accepted:
        done = actions.refuse_candidates(refuse) if refuse else actions.accept_candidates(None)
        console.show(done, as_json, evaluations.decided)
    else:
        console.show(reader.candidates(), as_json, evaluations.candidates)


def _look_back(name: str | None, against: str | None, halves: bool, as_json: bool) -> None:
    """The evaluations there are, or the latest against one of them."""
    report = reader.evaluations(name, against)
    if against is None:
        console.show(report, as_json, evaluations.history)
    else:
        console.show(report, as_json, lambda one: evaluations.report(one, halves, changes=True))


def _measured(name: str | None, k: int, is_accepted: bool) -> EvaluationReport:
    with meter() as progress:
        return actions.evaluate(name, k, is_accepted, progress)


def _check_asked_alone(asked: Mapping[str, object], name: str | None) -> None:
    """Refuse options that would be passed over without a word.

    Raises:
        CommandError: two options that each do something else, or a set where candidates of all are meant.
    """
    chosen = [option for option, value in asked.items() if value not in (None, False)]
    if len(chosen) > 1:
        raise CommandError("these do not go together", " ".join(chosen), "say one of them", USAGE)
    if name is not None and chosen and chosen[0] in ("--refuse", "--accept-candidates", "--candidates"):
        raise CommandError("candidates belong to no set yet", name, f"say cortex eval {chosen[0]} without it", USAGE)


def feedback(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What was asked.")],
    good: Annotated[
        list[str] | None,
        typer.Option(metavar="PLACE", help="CORPUS/PATH or CORPUS/PATH:LINE that answers it; may be repeated."),
    ] = None,
    bad: Annotated[
        list[str] | None, typer.Option(metavar="PLACE", help="A place that does not; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which results answer a question.

    Places are those that a search prints. The thumbs on the app's search page say the same; `cortex eval --candidates` shows what
    comes of it.
    """
    console.show(actions.give_feedback(question, good or (), bad or ()), as_json, evaluations.noted)
