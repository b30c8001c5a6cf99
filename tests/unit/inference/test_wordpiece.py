"""``WordPiece`` equals ``tokenizers`` for every text: ids and character offsets."""

import copy
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as RustTokenizer

import inference.wordpiece as wordpiece
from inference.models import packaged_model
from inference.tokenizers_plain import PlainTokenizer, open_tokenizer
from inference.wordpiece import WordPiece, is_wordpiece

FILE = packaged_model().folder / "tokenizer.json"
BLNS = Path(__file__).parents[3].parent / "shared" / "data" / "bad_inputs" / "blns"
RUST = RustTokenizer.from_file(str(FILE))
RUST.no_padding()
RUST.no_truncation()
TABLE = WordPiece(RustTokenizer.from_file(str(FILE)), json.loads(FILE.read_text("utf-8")), name="test")

NASTY = [
    *"aZ09 .,;[]_-#\t\n\r\x0b\x0c\x1c\x1f\x00\x7f\x85\xa0\u00ad\u200b\u200d\u2028\u3000\ufeff\ufffd",
    *"\u0301\u0308\u0338\u0345\u20dd\u05bf\u0f71\u0344éßİıſKÅ≠﹨",
    *"中国〇㐀豈가각\u1100\u1161\u11a8สวัสดีनमस्ते🙂👨🇩",
    *"\u037e\u1fef\u2026’“—·ﬃΣσ",
    "[SEP]",
    "[CLS]",
    "[MASK",
    "##ing",
    "don't",
    "a" * 101,
    "e\u0301" * 60,
    "𠀀",
    "\U0010ffff",
]
TEXTS = st.one_of(st.lists(st.sampled_from(NASTY), max_size=30).map("".join), st.text(max_size=60))


def rust(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    encoding = RUST.encode(text, add_special_tokens=False)
    return encoding.ids, encoding.offsets


def table(tokenizer: WordPiece, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    tokens = tokenizer.encode(text)
    return tokens.ids.tolist(), list(zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True))


@settings(max_examples=600, deadline=None)
@given(TEXTS)
def test_equals_the_real_tokenizer(text: str) -> None:
    assert table(TABLE, text) == rust(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, max_size=8))
def test_batches_equal_one_by_one(texts: list[str]) -> None:
    wanted = [rust(text)[0] for text in texts]
    assert TABLE.count_batch(texts) == [len(ids) for ids in wanted]
    assert [ids.tolist() for ids in TABLE.encode_ids_batch(texts)] == wanted


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=12))
def test_cutting_into_blocks_and_emptying_the_table_change_nothing(texts: list[str]) -> None:
    small = WordPiece(
        RustTokenizer.from_file(str(FILE)), json.loads(FILE.read_text("utf-8")), name="small", most_bytes=300
    )
    text = " ".join(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wordpiece, "_BLOCK_CHARS", 7)
        assert table(small, text) == rust(text)
        assert [ids.tolist() for ids in small.encode_ids_batch(texts)] == [rust(one)[0] for one in texts]
        assert small.count_batch(texts) == [len(rust(one)[0]) for one in texts]


def test_naughty_strings() -> None:
    files = sorted(BLNS.glob("*.txt")) + sorted(BLNS.glob("*.json"))
    if not files:
        pytest.skip("the naughty strings are not beside this checkout")
    for file in files:
        text = file.read_text("utf-8", errors="replace")
        for line in [text, *text.splitlines()]:
            assert table(TABLE, line) == rust(line), line[:80]


def test_long_units_that_meet_in_every_polynomial_hash_are_told_apart() -> None:
    thue_morse = [bin(number).count("1") % 2 for number in range(1_024)]
    one, other = ("".join("!?"[bit ^ turned] for bit in thue_morse) for turned in (0, 1))
    letters = [text.translate({33: "é", 63: "ß"}) for text in (one, other)]
    for text in (f"{one} {other}", " ".join(letters), f"{one[:500]} {other[:500]}"):
        assert table(TABLE, text) == rust(text)


def test_a_text_without_white_space_is_cut_at_punctuation() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wordpiece, "_BLOCK_CHARS", 20)
        for text in ("ab,cd;" * 40, "...,,,!!!" * 30, "x" * 400, "é-" * 100, "[SEP" * 30):
            assert table(TABLE, text) == rust(text)


def test_table_is_bounded() -> None:
    small = WordPiece(
        RustTokenizer.from_file(str(FILE)), json.loads(FILE.read_text("utf-8")), name="small", most_bytes=5_000
    )
    for number in range(300):
        small.encode(f"wörd{number} öther{number}")
        assert 0 < small._calls.wordpiece_held(small._table) < 5_400


def test_lone_surrogate_is_dropped_and_offsets_stay() -> None:
    tokens = TABLE.encode("ab\ud800 cd")
    assert [("ab\ud800 cd")[s:e] for s, e in zip(tokens.starts, tokens.ends, strict=True)][-1] == "cd"
    assert TABLE.count_batch(["[SEP] \ud800"]) == [1]


def test_failure_leaves_a_usable_table(monkeypatch: pytest.MonkeyPatch) -> None:
    own = WordPiece(RustTokenizer.from_file(str(FILE)), json.loads(FILE.read_text("utf-8")), name="own")

    def fail(*_: object) -> str:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(wordpiece, "readable", fail)
        with pytest.raises(MemoryError):
            own.encode("héllo wörld")
    assert table(own, "héllo wörld") == rust("héllo wörld")


def test_no_unit_has_more_tokens_than_bytes() -> None:
    """What ``wordpiece_cut`` has room for: a token is made of one character or more of the normalized text."""
    normalizer = RUST.normalizer
    for code in range(0x110000):
        if not 0xD800 <= code <= 0xDFFF:
            bare = normalizer.normalize_str(chr(code)).replace(" ", "")
            assert len(bare) <= len(chr(code).encode()), hex(code)


def test_threads_share_a_table() -> None:
    own = WordPiece(
        RustTokenizer.from_file(str(FILE)), json.loads(FILE.read_text("utf-8")), name="own", most_bytes=5_000
    )
    texts = [f"wörd{number} plain{number} 中{chr(0x4E00 + number)}" for number in range(400)]
    wanted = [rust(text)[0] for text in texts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: own.encode(text).ids.tolist(), texts * 3))
    assert found == wanted * 3


def test_one_word_of_a_megabyte() -> None:
    for text in ("x" * 1_200_000, "é" * 1_200_000, "x" * 300 + " y"):
        assert table(TABLE, text) == rust(text)


def test_opened_twice_is_one_tokenizer(tmp_path: Path) -> None:
    copy = tmp_path / "tokenizer.json"
    copy.write_bytes(FILE.read_bytes())
    assert open_tokenizer(FILE) is open_tokenizer(copy)
    copy.write_bytes(FILE.read_bytes() + b"\n")
    assert open_tokenizer(copy) is not open_tokenizer(FILE)


SCRIPT = """
import atexit, json, resource, sys, threading
from pathlib import Path
from tokenizers import Tokenizer
from inference.wordpiece import WordPiece
def use():
    for number in range(2_000):
        one.encode(f"hello world caf\u00e9{number} " * 20)
def last():
    use()
    print("used to the end")
atexit.register(last)
file = Path(sys.argv[1])
one = WordPiece(Tokenizer.from_file(str(file)), json.loads(file.read_text()), name="one")
"""
"""Opened after a function that uses it at the end was registered, and so let go before that, were it let go at exit."""

THREAD = "threading.Thread(target=lambda: [use() for _ in range(50)], daemon=True).start(); import time; time.sleep(.2)"
FULL = """
import numpy as np
from inference.native import address
units = [f"caf\u00e9{number}".encode() for number in range(400_000)]
data, joined = b" ".join(units), b"".join(units)
arrays = [np.zeros(len(data), dtype=np.int32) for _ in range(3)]
sizes = np.array([len(unit) for unit in units], dtype=np.int32)
ones = np.ones(len(units), dtype=np.int32)
column = [address(ones)] * 3
one.encode("w\u00f6rd")
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1_000_000, -1))
try:
    one._cut(data, *arrays)
except MemoryError:
    print("refused to cut")
if one._calls.wordpiece_teach(one._table, joined, address(sizes), address(ones), len(units), *column) == -1:
    print("refused to learn")
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
assert one.encode("w\u00f6rd").ids.tolist() == one._rust.encode("w\u00f6rd", add_special_tokens=False).ids
"""


def script(*parts: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "\n".join((SCRIPT, *parts)), str(FILE)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout


def test_used_to_the_end_of_the_process() -> None:
    assert "used to the end" in script(THREAD)


def test_no_memory_is_an_error_and_the_table_stays_usable() -> None:
    said = script(FULL)
    assert "refused to cut" in said
    assert "refused to learn" in said


def test_stays_in_its_process() -> None:
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="open it anew"):
            copied(TABLE)


def test_opening_chooses_by_kind(tmp_path: Path) -> None:
    assert isinstance(open_tokenizer(FILE), WordPiece)
    from tokenizers import models, pre_tokenizers

    bpe = RustTokenizer(models.BPE(vocab={"a": 0, "b": 1, "ab": 2, "é": 3}, merges=[("a", "b")], unk_token=None))
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    bpe.save(str(tmp_path / "tokenizer.json"))
    plain = open_tokenizer(tmp_path / "tokenizer.json")
    assert isinstance(plain, PlainTokenizer)
    assert plain.name.startswith("bpe-")
    tokens = plain.encode("ab éa")
    assert tokens.ids.tolist() == [2, 3, 0]
    assert tokens.starts.tolist() == [0, 3, 4]
    assert plain.count_batch(["ab", "", "ab éa"]) == [1, 0, 3]
    assert plain.special_tokens == 0
    assert np.array_equal(plain.encode_ids_batch(["ab"])[0], [2])


def test_only_bert_wordpiece_gets_the_table() -> None:
    parsed = json.loads(FILE.read_text("utf-8"))
    assert is_wordpiece(parsed)
    assert not is_wordpiece({**parsed, "pre_tokenizer": {"type": "Whitespace"}})
    assert not is_wordpiece({**parsed, "normalizer": None})
    for other in ({"content": "[sep]", "normalized": True}, {"content": "a b", "normalized": False}):
        assert not is_wordpiece({**parsed, "added_tokens": [*parsed["added_tokens"], other]})
    assert not is_wordpiece({**parsed, "normalizer": {**parsed["normalizer"], "clean_text": False}})
    assert not is_wordpiece({**parsed, "model": {**parsed["model"], "max_input_chars_per_word": 1_000}})
    assert not is_wordpiece({**parsed, "model": {**parsed["model"], "unk_token": "[NONE]"}})
