"""Forms of questions, and what they ask for."""

import pytest

from cortex_assets.retrieval.routes import CODE_WEIGHT, DENSE_WEIGHT, EXACT_FORMS, Form, question_form, unasked_words


@pytest.mark.parametrize(
    ("question", "form", "exact"),
    [
        ("How many points did the Panthers defense surrender?", Form.QUESTION, ()),
        ("python smooth an array", Form.KEYWORDS, ()),
        ("how to smooth an array", Form.QUESTION, ()),
        ("What did the U.S. do in 2010?", Form.QUESTION, ()),
        ("getUserName", Form.IDENTIFIER, ("getusername",)),
        ("max_retry_count", Form.IDENTIFIER, ("max_retry_count",)),
        ("os.path.join()", Form.IDENTIFIER, ("os.path.join",)),
        ("src/main.rs", Form.PATH, ("src/main.rs",)),
        ("/etc/hosts", Form.PATH, ("/etc/hosts",)),
        ("E0308", Form.ERROR, ("e0308",)),
        ("CVE-2024-3094", Form.ERROR, ("cve-2024-3094",)),
        ("0x80070005", Form.ERROR, ("0x80070005",)),
        ("ENOSPC", Form.ERROR, ("enospc",)),
        ("std::vector", Form.IDENTIFIER, ("std::vector",)),
        ("README.md", Form.PATH, ("readme.md",)),
        ("v1.2.3", Form.IDENTIFIER, ("v1.2.3",)),
        ('who said "to be  or not"', Form.QUOTED, ("to be or not",)),
        ("what does max_retry_count do", Form.MIXED, ()),
        ("tokenizer", Form.MIXED, ()),
        ("tests and benches, e.g. of parsers", Form.QUESTION, ()),
    ],
)
def test_form_of_a_question(question: str, form: Form, exact: tuple[str, ...]) -> None:
    found = question_form(question)
    assert (found.form, found.exact) == (form, exact)


def test_words_count_more_the_more_exact_the_question() -> None:
    exact = {DENSE_WEIGHT[form] for form in EXACT_FORMS}
    assert max(exact) < DENSE_WEIGHT[Form.MIXED] < DENSE_WEIGHT[Form.KEYWORDS] <= DENSE_WEIGHT[Form.QUESTION]


def test_among_code_meaning_counts_more_for_a_question_in_words_alone() -> None:
    question = question_form("how are signatures checked")
    assert question.dense_weight(1.0) == pytest.approx(question.dense_weight() + CODE_WEIGHT)
    assert question_form("max_retry_count").dense_weight(1.0) == DENSE_WEIGHT[Form.IDENTIFIER]


def test_words_that_only_ask_are_not_looked_for_unless_there_are_no_others() -> None:
    assert unasked_words("How do I rotate keys?", Form.QUESTION) == {"how", "do", "i"}
    assert unasked_words("what is what", Form.QUESTION) == {"what"}
    assert unasked_words("who, when, where?", Form.QUESTION) == frozenset()
    assert unasked_words("how max_retry_count", Form.MIXED) == frozenset()
