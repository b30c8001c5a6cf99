"""Routing of texts that nobody wrote: it takes no time, whatever they are."""

import time

import pytest

from inference.generation.routing import route


@pytest.mark.parametrize(
    "text",
    [
        " " * 300_000 + "x",
        "\n" * 300_000 + "x",
        "x = " + "a" * 300_000 + "!",
        "; " * 300_000 + "!",
        "</a" + "b" * 300_000 + "!",
        "\x00\udcff" * 300_000,
    ],
)
def test_a_text_without_sense_is_routed_in_no_time(text: str) -> None:
    begin = time.monotonic()
    route(text, {})
    assert time.monotonic() - begin < 3


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x\n",
        "  if (x) {  \n    y = f(x);  \n  }  ",
        "Error: it broke\n    at Object.<anonymous> (/x/y.js:1:2)\n    at Module.load(internal.js:3:4)\n    at run(x.js:1:2)",
        "  ```python\nx = 1\n```",
    ],
)
def test_code_is_known_by_its_lines(text: str) -> None:
    assert route(text, {"coder": 1000}).lane == "coder"
