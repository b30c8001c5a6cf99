"""Words of other languages than English: which language, which stems."""

import pytest

from cortex_assets.retrieval.highlight import snippet
from cortex_assets.retrieval.languages import asked_stems, language_of, stored_stems
from cortex_assets.retrieval.sparse import encode_point, query_terms

TEXTS = {
    "german": "Die Häuser am Hafen wurden im Frühjahr für die Besucher geöffnet, und das Lager ist noch nicht fertig.",
    "french": "Les bateaux sont rentrés au port et les pêcheurs ont vendu des poissons dans la rue.",
    "spanish": "Los barcos llegaron por la mañana y los pescadores vendieron el pescado en la calle.",
    "portuguese": "Os barcos chegaram de manhã e os pescadores não venderam o peixe na rua.",
    "italian": "Le barche sono arrivate perché il mare è calmo e il vento non soffia più.",
    "swedish": "Båtarna kom till hamnen och det är inte så många som är kvar på sjön.",
    "russian": "Лодки вернулись в порт, и рыбаки продали рыбу на улице, но не всю.",
    "greek": "Τα πλοία είναι στο λιμάνι και οι ψαράδες δεν είναι εκεί.",
    "finnish": "Veneet ovat satamassa ja kalastajat eivät myy kalaa, mutta se on hyvä että tämä päivä on.",
    "turkish": "Tekneler limana geldi ve balıkçılar çok balık sattı, bu bir sürpriz değil.",
}


@pytest.mark.parametrize(("language", "text"), TEXTS.items())
def test_the_language_of_a_text(language: str, text: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The north gauge reads low.",
        "A café is open for the people of the town and it is “good”.",
        "é",
        "東京都に住む",
        "naïve",
    ],
)
def test_what_is_english_or_cannot_be_told(text: str) -> None:
    assert language_of(text) is None


@pytest.mark.parametrize(
    ("language", "stored", "asked"),
    [
        ("german", "Häuser", "Hauses"),
        ("german", "geöffnete", "geöffneten"),
        ("french", "pêcheurs", "pêcheur"),
        ("spanish", "vendieron", "vendió"),
        ("russian", "рыбаки", "рыбаков"),
    ],
)
def test_inflected_words_meet_by_their_stem(language: str, stored: str, asked: str) -> None:
    assert set(stored_stems(stored, language)) & set(asked_stems(asked))


def test_a_chunk_is_found_and_marked_by_another_form_of_its_word() -> None:
    ids, _ = encode_point(TEXTS["german"])
    asked, _ = query_terms("Haus Besuchern")
    shared = set(ids.tolist()) & set(asked.tolist())
    assert shared
    shown = snippet(TEXTS["german"], dict.fromkeys(shared, 1.0))
    assert {shown.text[start:end] for start, end in shown.spans} >= {"Besucher"}


def test_english_chunks_have_no_other_terms_than_before() -> None:
    plain, _ = encode_point("The houses are open.")
    assert not set(plain.tolist()) & set(asked_stems("houses open"))
