"""Search: a question with filters, cited results, each opened at its place. Its address holds the question (``?q=``)."""

from datetime import UTC, date, datetime, time, timedelta

import streamlit as st

from apps import reader
from apps.app_pages.answer_panel import address_of, answer_panel
from apps.app_pages.frame import heading, told
from apps.app_pages.judging import OPENED, note_click, thumbs, write_noted
from apps.app_pages.marking import hit_card
from apps.app_pages.opened_source import opened_source
from apps.app_pages.wording import plain, plural
from apps.errors import CommandError
from apps.search_reports import Hit, SearchFilters, SearchResponse, Wishes
from apps.views import Choices

FOCUS = """<script>
(() => {
  const field = () => document.querySelector('input[aria-label="Question"]');
  if (!window.cortexSlash) {
    window.cortexSlash = true;
    document.addEventListener("keydown", (event) => {
      const at = document.activeElement;
      if (event.key !== "/" || (at && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)))) return;
      const found = field();
      if (found) { event.preventDefault(); found.focus(); }
    });
  }
  const focus = (tries) => {
    const found = field(), at = document.activeElement;
    if (found && !found.value && !(at && /^(INPUT|TEXTAREA)$/.test(at.tagName))) found.focus();
    else if (!found && tries > 0) setTimeout(() => focus(tries - 1), 50);
  };
  focus(40);
})();
</script>"""
"""Our own words only: the question has the focus where it is empty, and ``/`` brings one back to it."""
_OPEN = "open"
_WHY = "Say of each result what meaning, words and exact strings gave, and which word stands where"
_ANSWER = (
    "The sentences of the sources that answer, each verified and cited; or that none does. No model writes anything."
)


def page() -> None:
    """Draw it."""
    heading("Search")
    with told():
        choices = reader.choices()
        question = st.text_input(
            "Question",
            key="q",
            bind="query-params",
            type="search",
            placeholder="Ask in words, or paste a name, an error, a path…   (press / to come back here)",
            label_visibility="collapsed",
        )
        st.html(FOCUS, unsafe_allow_javascript=True)
        filters, k, as_of, wishes = _filters(choices)
        if not choices.corpora:
            st.info("Nothing is indexed yet. Add files under Corpora, then ask.", icon=":material/folder_open:")
        elif question and question.strip():
            _answer(question, filters, k, as_of, wishes)
        else:
            _ideas(choices)


def _filters(choices: Choices) -> tuple[SearchFilters, int, datetime | None, Wishes]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        corpora = st.multiselect(
            "Corpus", choices.corpora, key="in", bind="query-params", placeholder="every corpus", width=260
        )
        kinds = st.multiselect("Kind", choices.kinds, key="kind", placeholder="every kind", width=220)
        path = st.text_input(
            "Path", key="path", placeholder="docs/**, *.md", width=180, help="One or more globs, with commas"
        )
        k = int(st.number_input("Results", 1, reader.MOST_HITS, 10, key="k", width=120))
        with st.popover("More filters", icon=":material/tune:"):
            languages = st.multiselect(
                "Language of code", choices.languages, key="language", placeholder="every language"
            )
            after = st.date_input("Changed on or after", None, key="after")
            before = st.date_input("Changed before", None, key="before")
            earlier = st.date_input(
                "As it was at the end of",
                None,
                key="as_of",
                min_value=choices.first_day,
                max_value=date.today() if choices.first_day else None,
                disabled=choices.first_day is None,
                help="An earlier state is searched without an index: exact, and it takes seconds.",
            )
        with_answer = st.toggle(
            "Answer in sentences",
            key="answer",
            bind="query-params",
            help=_ANSWER,
        )
        with_reasons = st.toggle("Why", key="why", bind="query-params", help=_WHY)
    globs = tuple(glob.strip() for glob in path.split(",") if glob.strip())
    filters = SearchFilters(tuple(corpora), tuple(kinds), tuple(languages), globs, _one_day(after), _one_day(before))
    return filters, k, _end_of(_one_day(earlier)), Wishes(answer=with_answer, reasons=with_reasons)


def _one_day(value: object) -> date | None:
    return value if isinstance(value, date) else None


def _end_of(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC) + timedelta(days=1, microseconds=-1)


def _answer(question: str, filters: SearchFilters, k: int, as_of: datetime | None, wishes: Wishes) -> None:
    with st.spinner("Searching…" if as_of is None else "Reading that state…", show_time=as_of is not None):
        response = reader.search(question, k, filters, as_of, wishes)
    if response.answer is not None and response.hits:
        answer_panel(response.answer, _wanted)
    took = response.milliseconds.get("total")
    st.caption(f"{plural(len(response.hits), 'passage')}" + (f" in {took:,.0f} ms" if took is not None else ""))
    for note in response.notes:
        st.caption(f":material/info: {plain(note)}")
    if not response.hits:
        st.info("Nothing was found. Use other words, or fewer filters.", icon=":material/search_off:")
    for hit in response.hits:
        with st.container(border=True):
            st.html(hit_card(hit))
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                st.button(
                    "Open at its place",
                    key=f"open-{hit.chunk_id}",
                    icon=":material/open_in_full:",
                    help=f"Open result {hit.rank}",
                    on_click=_wanted_result,
                    args=(question, hit, as_of is None),
                )
                if as_of is None:
                    thumbs(question, hit)
    _open(response, as_of)
    write_noted()


def _open(response: SearchResponse, as_of: datetime | None) -> None:
    """The source of the result, or of the quote, that the address names."""
    wanted = st.query_params.get(_OPEN)
    if not wanted:
        return
    quotes = response.answer.quotes if response.answer else ()
    hit = ({one.chunk_id: one for one in response.hits} | {address_of(one): one for one in quotes}).get(wanted)
    if hit is None:
        st.query_params.pop(_OPEN, None)
        raise CommandError("the passage that this address opens is not among the results", "", "search again")
    opened_source(hit, as_of, _closed)


def _wanted(address: str) -> None:
    """Before the page is drawn anew: a run of it that another one cuts short would lose a click."""
    st.query_params[_OPEN] = address


def _wanted_result(question: str, hit: Hit, is_of_now: bool) -> None:
    """A result is opened, and that it was is noted."""
    _wanted(hit.chunk_id)
    if is_of_now:
        note_click(question, hit, OPENED)


def _closed() -> None:
    st.query_params.pop(_OPEN, None)


def _ideas(choices: Choices) -> None:
    told_first = f" Earlier states can be searched from {choices.first_day:%Y-%m-%d} on." if choices.first_day else ""
    st.caption(
        f"{plural(len(choices.corpora), 'corpus') if len(choices.corpora) == 1 else f'{len(choices.corpora)} corpora'} "
        f"to search, by words and by meaning. Every result is cited to its exact place.{told_first}"
    )


if __name__ == "__main__":
    page()
