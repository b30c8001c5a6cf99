"""What ``apps.actions`` and ``apps.reader`` do about clicks and candidates with an open house. Imported late."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

from apps.errors import USAGE, CommandError
from apps.evaluating import gold_line
from apps.evaluation_reports import CandidateLine, CandidatesReport, Click, Decided, Noted
from apps.residence import looked_in, remembered
from apps.running import opened
from cortex_assets import proposing
from cortex_assets.corpora.schema import CORPORA
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.evaluation.candidates import Candidate
from cortex_assets.evaluation.collect import Proposed
from cortex_assets.evaluation.derive import golden_files
from cortex_assets.evaluation.schema import DECIDED_CANDIDATES, FEEDBACK

_LEAST_OF_ID = 4
_PLACE = re.compile(r"(.*?)(?::(\d+)(?:-\d+)?)?", re.S)
"""A place as a search prints it: ``notes/plan.md:3-9``."""


def note_clicks(clicks: Sequence[Click]) -> Noted:
    """See ``apps.actions.note_clicks``."""
    with opened() as house:
        noted = proposing.note(house.lake, [proposing.Cited(**asdict(click)) for click in clicks])
    return Noted(noted, len(clicks) - noted)


def give_feedback(question: str, good: Sequence[str], bad: Sequence[str]) -> Noted:
    """See ``apps.actions.give_feedback``."""
    now = datetime.now(UTC)
    question = question.encode("utf-8", "replace").decode("utf-8")
    if both := set(good) & set(bad):
        raise CommandError("a place cannot be good and bad", min(both), "name it once", USAGE)
    if not question.strip() or not (good or bad):
        raise CommandError(
            "nothing is said",
            "",
            'name a question and a place: cortex feedback "high water" --good notes/a.md:3',
            USAGE,
        )
    with opened() as house:
        registry = house.register.now()
        cited = []
        for how, places in (("thumb_up", good), ("thumb_down", bad)):
            for place in places:
                match = _PLACE.fullmatch(place)
                path, line = (match[1], match[2]) if match is not None else (place, None)
                found = proposing.cite(house, registry, path, None if line is None else int(line))
                if found is None:
                    raise CommandError("there is no such place", place, "name it as a search prints it", USAGE)
                cited.append(proposing.Cited(question, how, *found, 0, 0, now))
        return Noted(proposing.note(house.lake, cited))


def candidates() -> CandidatesReport:
    """See ``apps.reader.candidates``."""
    with looked_in() as house:
        golden = tuple((file.name, file.lstat().st_mtime_ns) for file in golden_files(house.settings.golden))
        made_of = (CORPORA, DOCUMENTS, FEEDBACK, DECIDED_CANDIDATES)
        read = partial(proposing.candidates, house, house.register.now())
        found = remembered(house, ("candidates", golden), made_of, read)
    return CandidatesReport(tuple(_line(one) for one in found.candidates), found.lost)


def accept_candidates(chosen: Sequence[str] | None, wording: Mapping[str, str]) -> Decided:
    """See ``apps.actions.accept_candidates``."""
    if any(not text.strip() for text in wording.values()):
        raise CommandError("the question is empty", "", "write what a person would ask", USAGE)
    with opened() as house:
        wanted = _wanted(proposing.candidates(house, house.register.now()), chosen)
        if not wanted:
            return Decided(())
        file = proposing.accept(house, wanted, wording, datetime.now(UTC))
    texts = (wording.get(one.candidate_id, one.question.text) for one in wanted)
    return Decided(tuple(texts), str(file))


def refuse_candidates(chosen: Sequence[str]) -> Decided:
    """See ``apps.actions.refuse_candidates``."""
    with opened() as house:
        wanted = _wanted(proposing.candidates(house, house.register.now()), chosen)
        proposing.refuse(house, wanted, datetime.now(UTC))
    return Decided(tuple(one.question.text for one in wanted))


def _wanted(found: Proposed, chosen: Sequence[str] | None) -> list[Candidate]:
    """The candidates that were chosen by how their ids begin (None: all).

    Raises:
        CommandError: an id begins like that of none any more, or like those of several.
    """
    if chosen is None:
        return list(found.candidates)
    wanted = []
    for begin in chosen:
        if len(begin) < _LEAST_OF_ID:
            raise CommandError(
                "this is too little of an id", begin, f"give at least {_LEAST_OF_ID} letters of it", USAGE
            )
        named = [one for one in found.candidates if one.candidate_id.startswith(begin)]
        if len(named) != 1:
            what = "this is no candidate any more" if not named else f"{len(named)} candidates have such an id"
            raise CommandError(what, begin, "look at the candidates again: cortex eval --candidates", USAGE)
        wanted += named
    return wanted


def _line(one: Candidate) -> CandidateLine:
    golds = tuple(map(gold_line, one.question.golds))
    return CandidateLine(one.candidate_id, one.question.text, one.question.kind, one.origin, one.told, golds)
