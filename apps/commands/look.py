"""Commands that only read: plan, status, explain, search. What they do is in ``apps.reader``."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

import typer

from apps import reader
from apps.commands.options import Corpora, Json
from apps.errors import FOUND
from apps.search_reports import SearchFilters, Wishes
from apps.terminal import answers, console, explained, hits, tables

_DATE = ["%Y-%m-%d"]
_MOMENT = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


def plan(corpora: Corpora = None, as_json: Json = False) -> None:
    """Show what a run would do; write nothing.

    The numbers are exact, or estimates marked ~ with their basis.
    """
    console.show(reader.plan(corpora), as_json, tables.plan_report)


def status(
    corpus: Annotated[str | None, typer.Argument(metavar="[CORPUS]", help="Only this corpus.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Also show what is not ok, grouped by reason.")] = False,
    as_json: Json = False,
) -> None:
    """Show the corpora and what is in them.

    Files, documents, chunks, vectors, points, last scan and run, what is withheld.
    """
    console.show(reader.status(corpus, failed), as_json, tables.status_report)


def explain(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CORPUS/PATH as a search shows it, or a path on the disk.")
    ],
    member: Annotated[
        str | None, typer.Option(help="Only members (of an archive, a mail) whose path contains this.")
    ] = None,
    most: Annotated[int, typer.Option("--limit", "-k", min=1, help="How many documents and chunks are shown.")] = 10,
    as_json: Json = False,
) -> None:
    """Show what became of one file.

    What was found in it, which parser read it, what is missing and why, its pages and its chunks.
    """
    console.show(reader.explain(file, member, most), as_json, explained.file_report)


def search(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="Words or a whole question.")],
    k: Annotated[int, typer.Option("--limit", "-k", help="How many hits, 1 to 100.")] = 10,
    corpus: Annotated[list[str] | None, typer.Option(help="Only this corpus; may be repeated.")] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only this kind, such as markdown, code or pdf; may be repeated."),
    ] = None,
    language: Annotated[list[str] | None, typer.Option(help="Only code in this language; may be repeated.")] = None,
    path: Annotated[list[str] | None, typer.Option(help="Only paths that match this glob; may be repeated.")] = None,
    after: Annotated[
        datetime | None, typer.Option(formats=_DATE, help="Only files changed on or after this day (UTC).")
    ] = None,
    before: Annotated[
        datetime | None, typer.Option(formats=_DATE, help="Only files changed before this day (UTC).")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            formats=_MOMENT,
            help="Search what was published by then (UTC; a day means its end), without an index, in seconds not milliseconds.",
        ),
    ] = None,
    with_answer: Annotated[
        bool,
        typer.Option(
            "--answer", help="Answer in sentences of the sources, each cited and verified, or say that nothing answers."
        ),
    ] = False,
    with_reasons: Annotated[
        bool, typer.Option("--explain", help="Say of each hit what made its rank: meaning, words, exact strings, time.")
    ] = False,
    around: Annotated[
        bool, typer.Option("--around", help="Show the section that each hit stands in, not only its best lines.")
    ] = False,
    diverse: Annotated[bool, typer.Option("--diverse", help="Passages that repeat others stand further down.")] = False,
    as_json: Json = False,
) -> None:
    """Find passages and cite their exact place.

    Each citation was checked against the stored text. Ends with 1 when nothing was found, with --answer also when nothing
    found answers the question.
    """
    filters = SearchFilters(
        tuple(corpus or ()), tuple(kind or ()), tuple(language or ()), tuple(path or ()), _day(after), _day(before)
    )
    wishes = Wishes(with_answer, with_reasons, around, diverse)
    response = reader.search(question, k, filters, _moment(as_of), wishes)
    console.show(response, as_json, answers.response if response.answer else hits.response)
    if not response.hits or (response.answer and not response.answer.quotes):
        raise typer.Exit(FOUND)


def _moment(given: datetime | None) -> datetime | None:
    """A time in UTC; of a day its last moment."""
    if given is None:
        return None
    utc = given.replace(tzinfo=UTC)
    return utc + timedelta(days=1, microseconds=-1) if given.time() == time() else utc


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None
