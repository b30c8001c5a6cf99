"""A tokenized document: where its tokens and lines are, and what a span of it weighs. Tokenized once, asked often.

Only arrays and look-ups live here; where a document is cut is decided in ``pack``, ``refine`` and ``prose``.
"""

from collections.abc import Sequence

import numpy as np

from cortex_assets.chunks import cut
from inference.hashing import Positions
from inference.protocols import Ints, Tokenizer

WEIGHT_SHIFT = 5
"""A token that spans more than 2**5 characters, white space after it included, weighs one for each 2**5 of them."""
_PLAIN_WHITE = " \t\r\n"


class Source:
    """A document's text with its tokens.

    Attributes:
        text: the document.
        starts: first character of each token, ascending.
        ends: character after each token.
        newlines: offsets of the line feeds.
        line_tokens: for each line feed, the index of the first token that starts after it.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        tokens = tokenizer.encode(text)
        if not len(tokens.ids) == len(tokens.starts) == len(tokens.ends):
            raise ValueError(f"tokenizer {tokenizer.name}: ids and spans differ in number")
        self.text = text
        self.tokenizer = tokenizer
        self.starts: Positions = tokens.starts.astype(np.int64)
        self.ends: Positions = tokens.ends.astype(np.int64)
        self._data = text.encode("utf-8", "surrogatepass")
        lines = cut.lines(self._data, len(text), self.starts, WEIGHT_SHIFT)
        self.newlines, self.line_tokens, self._weight_before = lines
        self._ids: Ints = np.ascontiguousarray(tokens.ids, dtype=np.int32)

    def token_at(self, positions: Sequence[int] | Positions) -> Positions:
        """Index of the first token that starts at or after each position."""
        return self.starts.searchsorted(np.asarray(positions, dtype=np.int64))

    def first_token(self, position: int) -> int:
        """Index of the first token that starts at or after ``position``."""
        return int(self.starts.searchsorted(position))

    def weight(self, start: int, end: int) -> int:
        """Weight of the tokens that start in ``[start, end)``: their number, more where they are very long."""
        first, last = self.starts.searchsorted((start, end))
        return int(self._weight_before[last] - self._weight_before[first])

    def weights_between(self, tokens: Sequence[int] | Positions) -> Positions:
        """Cumulative weights at token indices."""
        return self._weight_before[tokens]

    def hashes_between(self, tokens: Sequence[int] | Positions) -> Positions:
        """A 40-bit hash of the tokens between each index and the next; ``tokens`` ascend strictly.

        The upper bits are a MinHash of pairs of tokens, so that they survive most small edits; the lower ones tell
        apart what shares the pair.
        """
        return cut.hashes_between(self._ids, np.asarray(tokens, dtype=np.int64))

    def tokenized(self) -> cut.Tokenized:
        """The arrays that ``cut`` takes."""
        return cut.Tokenized(
            len(self.text),
            self._ids,
            self.starts,
            self.ends,
            self.newlines,
            self.line_tokens,
            self._weight_before,
        )

    def places(self, spans: Sequence[tuple[int, int]]) -> cut.Places:
        """Spans (start, end), ascending and apart, without blank lines before and white space after, and where they are."""
        return cut.places(self._data, self.tokenized(), spans)

    def line_starts(self, start: int, end: int) -> tuple[Positions, Positions]:
        """Starts of the lines with a token that begin inside ``(start, end)``, and each one's first token."""
        low, high = self.newlines.searchsorted((start, end - 1))
        firsts = self.line_tokens[low:high]
        if low == high:
            return firsts, firsts
        filled = np.empty(high - low, dtype=np.bool_)
        np.less(firsts[:-1], firsts[1:], out=filled[:-1])
        filled[-1] = firsts[-1] < self.first_token(end)
        return self.newlines[low:high][filled] + 1, firsts[filled]

    def unclean(self, starts: Sequence[int], ends: Sequence[int]) -> list[int]:
        """Numbers of the spans with no plain white space beside one of their borders: token counts do not add up there."""
        text, last, white = self.text, len(self.text), _PLAIN_WHITE
        return [
            number
            for number, (start, end) in enumerate(zip(starts, ends, strict=True))
            if not (
                (start == 0 or text[start - 1] in white or text[start] in white)
                and (end == last or text[end] in white or text[end - 1] in white)
            )
        ]
