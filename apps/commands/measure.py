"""``cortex eval`` and ``cortex feedback``: how well search finds what it should. What they do is in ``apps.actions``, ``apps.reader``."""

from collections.abc import Mapping
from typing import Annotated

import typer

from apps import actions, reader
from apps.commands.options import Json
from apps.errors import FOUND, USAGE, CommandError
from apps.terminal import console, evaluations
from apps.terminal.meters import meter


def evaluate(
    name: Annotated[
        str | None, typer.Argument(metavar="[SET]", help="Name of a golden set; without one, all of them.")
    ] = None,
    k: Annotated[
        int,
        typer.Option(
            "--limit",
            "-k",
            min=1,
            max=100,
            help="Look at so many hits, to that depth in all metrics; only 10 is recorded.",
        ),
    ] = 10,
    halves: Annotated[
        bool, typer.Option("--halves", help="Show words alone and meaning alone beside the search that uses both.")
    ] = False,
    changes: Annotated[bool, typer.Option("--changes", help="List every question that changed rank.")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Only show the evaluations there are; nothing is asked.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="ID", help="Compare the latest with this one of the history; nothing is asked."
        ),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Take the present quality as the one to compare with from now on.")
    ] = False,
    candidates: Annotated[
        bool, typer.Option("--candidates", help="Only list questions that might go into a golden set.")
    ] = False,
    accept_candidates: Annotated[
        bool, typer.Option("--accept-candidates", help="Put all of them into golden/accepted.yaml; nothing is asked.")
    ] = False,
    refuse: Annotated[
        list[str] | None,
        typer.Option("--refuse", metavar="ID", help="Have a candidate not proposed again; may be repeated."),
    ] = None,
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
    if refuse:
        console.show(actions.refuse_candidates(refuse), as_json, evaluations.decided)
        return
    if accept_candidates:
        console.show(actions.accept_candidates(None), as_json, evaluations.decided)
        return
    if candidates:
        console.show(reader.candidates(), as_json, evaluations.candidates)
        return
    if against is not None:
        report = reader.evaluations(name, against)
        console.show(report, as_json, lambda one: evaluations.report(one, halves, changes=True))
        return
    if history:
        report = reader.evaluations(name)
        console.show(report, as_json, evaluations.history)
        return
    with meter() as progress:
        report = actions.evaluate(name, k, accept, progress)
    console.show(report, as_json, lambda one: evaluations.report(one, halves, changes))
    if not report.is_well:
        raise typer.Exit(FOUND)


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
