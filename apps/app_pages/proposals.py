"""Candidates for golden questions, one box each: worded anew, accepted or refused. Used by the page of quality."""

import streamlit as st

from apps import actions, reader
from apps.app_pages.frame import say_next, told
from apps.app_pages.marking import Column, table
from apps.app_pages.wording import plain, plural
from apps.evaluation_reports import CandidateLine

AT_ONCE = 8
_GRADES = {1: "somewhat", 2: "well", 3: "perfectly"}


def proposals() -> None:
    """Draw the first of them; the next follow when these are decided."""
    with st.spinner("Looking for questions…"):
        report = reader.candidates()
    st.caption(
        "Questions that might go into a golden set: what you asked and liked or opened, and headings. Accepted ones are asked by "
        "the next evaluation; refused ones do not come again."
    )
    if report.lost:
        st.caption(f":material/info: {plural(report.lost, 'passage')} you clicked on cannot be found any more.")
    if not report.candidates:
        st.info(
            "No candidate now. Ask something under Search, and give what answers it a thumb up.",
            icon=":material/thumb_up:",
        )
    for candidate in report.candidates[:AT_ONCE]:
        _proposal(candidate)
    if len(report.candidates) > AT_ONCE:
        st.caption(f"and {len(report.candidates) - AT_ONCE} more")


def _proposal(candidate: CandidateLine) -> None:
    identity = candidate.candidate_id
    with st.form(f"candidate-{identity}"):
        text = st.text_input("Question", candidate.question, key=f"question-{identity}", max_chars=1000)
        st.caption(f"{plain(candidate.told)} · {plain(candidate.question_type)}")
        rows = [
            (
                gold.place,
                f"{gold.begins} … {gold.ends}" if gold.ends else gold.begins or "all of it",
                _GRADES[gold.grade],
            )
            for gold in candidate.golds
        ]
        st.html(table([Column("answered by", "code"), Column("passage"), Column("how well")], rows))
        with st.container(horizontal=True):
            is_accepted = st.form_submit_button(
                "Accept", key=f"yes-{identity}", icon=":material/check:", type="primary"
            )
            is_refused = st.form_submit_button("Refuse", key=f"no-{identity}", icon=":material/close:")
    if is_accepted:
        with told():
            actions.accept_candidates([identity], {identity: text})
            say_next("Accepted: the next evaluation asks it.")
            st.rerun()
    if is_refused:
        with told():
            actions.refuse_candidates([identity])
            say_next("Refused: it does not come again.")
            st.rerun()
