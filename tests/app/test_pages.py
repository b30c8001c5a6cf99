"""Each page over an empty lake and over the sample: what it says, and that nothing goes wrong on the way."""

import pytest

from tests.app.conftest import words

PAGES = ("overview", "search", "corpora", "tables", "quality", "runs")


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_lake_is_told_how_to_begin(name, empty, page):
    app = page(name)
    said = words(app)
    assert app.title[0].value == name.capitalize()
    if name in ("overview", "corpora"):
        assert "two ways to begin" in said
        assert "cortex add" in said
        assert app.get("file_uploader"), "files can be dropped right there"
    if name == "search":
        assert "Nothing is indexed yet" in said
    if name == "tables":
        assert "made by the first run" in said
    if name == "quality":
        assert "There is no golden set yet" in said
    if name == "runs":
        assert "No corpus is here yet" in said


def test_overview_says_how_everything_stands(sample, page):
    said = words(page("overview"))
    assert "Nothing runs now" in said
    assert "sample" in said
    assert "current" in said
    assert "+29 in a day" in said
    assert "No check has left a result yet" in said
    assert "partial" in said  # the run whose damaged PDF failed


def test_search_answers_with_cited_passages(sample, page):
    app = page("search")
    app.text_input(key="q").set_value("what was the highest still water level of 2025?").run()
    said = words(app)
    assert "annual-tide-report-2025.pdf page 2" in said
    assert '<mark class="cx-mark">highest</mark>' in said
    assert "exact" in said
    assert [button.label for button in app.button].count("Open at its place") == 10


def test_an_answer_stands_above_the_passages_and_its_sentences_open(sample, page):
    from apps import reader
    from apps.search_reports import Wishes

    question = "highest still water level of 2025 and how the north gauge was cleaned of mussels"
    app = page("search", answer="true", q=question)
    assert app.toggle(key="answer").value is True
    said = words(app)
    assert "supported" in said
    assert "% sure" in said
    assert '<mark class="cx-mark">highest</mark>' in said
    answer = reader.search(question, wishes=Wishes(answer=True)).answer
    assert len(answer.documents) > 1
    assert {quote.citation for quote in answer.quotes} == {"exact"}
    app.button(key="open-quote-1").click().run()
    assert not app.exception
    assert app.query_params["open"] == f"{answer.quotes[0].chunk_id}-{answer.quotes[0].start_char}"
    assert "cx-line-number" in words(app)


def test_a_question_that_nothing_answers_has_no_support(sample, page):
    app = page("search", answer="true", q="who won the chess olympiad in Buenos Aires?")
    said = words(app)
    assert "No support: nothing in the corpora answers this" in said
    assert "% sure" not in said
    assert [button.label for button in app.button].count("Open at its place") > 0
    app.toggle(key="answer").set_value(False).run()
    assert "No support" not in words(app)


def test_a_filter_narrows_the_answer(sample, page):
    app = page("search")
    app.text_input(key="q").set_value("checksum of a frame").run()
    app.multiselect(key="kind").set_value(["code"]).run()
    said = words(app)
    assert "CrcFrame" in said
    assert ".pdf" not in said


def test_an_address_opens_a_passage(sample, page):
    from apps import reader

    question = "what was the highest still water level of 2025?"
    hit = reader.search(question).hits[1]
    app = page("search")
    app.query_params["open"] = hit.chunk_id
    app.text_input(key="q").set_value(question).run()
    assert not app.exception
    said = words(app)
    assert "cx-line-number" in said
    assert "cx-chunk" in said
    assert hit.path in said


def test_a_passage_that_is_not_found_is_said(sample, page):
    app = page("search")
    app.query_params["open"] = "0" * 32
    app.text_input(key="q").set_value("north gauge").run()
    assert "not among the results" in words(app)
    assert "open" not in app.query_params


def test_nothing_found_is_said(sample, page):
    app = page("search")
    app.text_input(key="path").set_value("nowhere/**").run()
    app.text_input(key="q").set_value("north gauge").run()
    assert "Nothing was found" in words(app)


def test_a_failed_file_says_why_and_what_to_do(sample, page):
    app = page("corpora", corpus="sample", file="reports/damaged-scan-1987.pdf")
    said = words(app)
    assert "damaged PDF" in said
    assert "repair it with qpdf" in said
    assert "Try this file again" in [button.label for button in app.button]


def test_files_are_filtered_by_status_and_path(sample, page):
    app = page("corpora", corpus="sample")
    app.text_input(key="path-sample").set_value("DAMAGED").run()
    said = words(app)
    assert "damaged-scan-1987.pdf" in said
    assert "north-gauge" not in said


def test_tables_show_rows_columns_and_versions(sample, page):
    app = page("tables", table="silver/chunks")
    said = words(app)
    assert app.selectbox(key="table").value == "silver/chunks"
    assert "verbatim slice of the document" in said
    assert "partition" in said
    assert len(app.dataframe[0].value) == 52
    app.selectbox(key="column-silver/chunks").select("kind").run()
    app.text_input(key="contains-silver/chunks").set_value("code").run()
    assert set(app.dataframe[0].value["kind"]) == {"code"}


def test_questions_in_sql_are_answered_or_told_why_not(sample, page):
    app = page("tables")
    app.text_area(key="sql-text").set_value("SELECT count(*) AS files FROM bronze.files")
    (ask,) = [one for one in app.button if one.label == "Ask"]
    app = ask.click().run()
    assert app.dataframe[1].value["files"].to_list() == [29]
    app.text_area(key="sql-text").set_value("SELECT 1 AS a, 2 AS a, 9223372036854775808::HUGEINT AS large")
    (ask,) = [one for one in app.button if one.label == "Ask"]
    app = ask.click().run()
    (row,) = app.dataframe[1].value.to_dict("records")
    assert row == {"a": 1, "a (2)": 2, "large": "9223372036854775808"}
    app.text_area(key="sql-text").set_value("DROP TABLE bronze.files")
    (ask,) = [one for one in app.button if one.label == "Ask"]
    app = ask.click().run()
    assert not app.exception
    assert "This did not work" in words(app)


def test_runs_show_the_flow_and_what_runs_cost(sample, page):
    app = page("runs")
    said = words(app)
    assert "sample: from files to the index" in said
    assert "1 not ok" in said
    assert "cortex up" in said
    assert any("tokens" in one.label for one in app.expander)
    assert not any("interrupted" in one.label for one in app.expander)


@pytest.mark.parametrize("name", PAGES)
def test_a_setting_that_cannot_be_used_is_a_box_with_its_remedy(name, empty, page, monkeypatch):
    monkeypatch.setenv("CORTEX_RETENTION", "soon")
    said = words(page(name))
    assert "This did not work" in said
    assert "CORTEX_RETENTION='soon' is not allowed" in said
    assert "Traceback" not in said


def test_why_a_result_ranks_there_is_told_where_it_is_asked_for(sample, page):
    app = page("search", q="north gauge reads low", why="true")
    assert app.toggle(key="why").value is True
    said = words(app)
    assert "meaning counts" in said
    assert "place 1" in said
    assert "gauge" in said
    assert "meaning counts" not in words(page("search", q="north gauge reads low"))
