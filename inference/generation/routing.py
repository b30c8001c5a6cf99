"""Which lane a request belongs to, and why, in words that ``cortex route`` shows.

The first rule that holds decides: the lane that is asked for by name, the task, the length, code, compliance, passages with a
question; else the default lane. Pure: nobody is asked, and the words are not learned from anybody's texts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from inference.generation.spec import DEFAULT
from inference.generation.tokens import estimated_tokens
from inference.requests import GenerateRequest

TASKS: Final = {
    "answer": "fast_rag",
    "chat": DEFAULT,
    "code": "coder",
    "compliance": "governance",
    "extract": DEFAULT,
    "licence": "governance",
    "plan": DEFAULT,
    "read": "super_reader",
    "review": "coder",
    "summarize": DEFAULT,
}
_CODE_SHARE: Final = 0.25
_LEAST_CODE: Final = 2
_MOST_OF_LINE: Final = 400
"""Characters of a line that are looked at: what has no line ends is judged by its beginning, in no time."""
_FENCE = re.compile(r"^[ \t]*(```|~~~)", re.M)
_CODE_LINE = re.compile(
    r"""(?:(?:def|class|fn|func|function|interface|struct|enum|impl|package|namespace|public|private|static|async|await)\s+\w
    |(?:import|from|using|require|include|\#include)\s+[\w"'<{*.]
    |(?:const|let|var)\s+\w+\s*[=:]|(?:return|yield|throw|raise|elif|else:|try:|except|catch|finally)\b
    |(?:if|for|while|switch)\s*\(|(?:if|for|while|with)\s.+:$
    |[\w.\[\]"']+\s*(?:=|\+=|-=|:=)\s*\S.*[;)\]}\w"']$|@\w+|</?[a-z]+[^>]*>$
    |(?:SELECT|INSERT|UPDATE|DELETE|CREATE)\s+\S|.*[;{}]$|Traceback\ \(most|at\ [\w.$]+\(|\$\ \w)""",
    re.X,
)
_ABOUT_CODE = re.compile(
    r"\b(?:bug|compile[rs]?|debug\w*|exception|function|method|refactor\w*|regex|stack ?trace|traceback|type ?hint|unit ?tests?"
    r"|Python|Rust|JavaScript|TypeScript|Java|C\+\+|Golang|SQL query|pull request|null pointer|API client)\b",
    re.I,
)
_GOVERNANCE = re.compile(
    r"\b(?:GDPR|DSGVO|HIPAA|CCPA|SOC ?2|ISO ?27001|compliance|compliant|data protection|Datenschutz|personal data|personally identifiable"
    r"|PII|licen[cs]e[sd]?|licensing|copyright|Lizenz|retention polic\w+|audit trail|export control|consent|right to be forgotten)\b",
    re.I,
)
_PASSAGES = re.compile(r"^[ \t]*(?:\[\d+\]|context:|passages?:|sources?:|documents?:|evidence:)", re.I | re.M)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes.

    Attributes:
        lane: that serves it.
        wanted: that its kind belongs to; another one than ``lane`` where that has no engine.
        reasons: in words, the one that decided first.
        tokens: of the request, estimated.
    """

    lane: str
    wanted: str
    reasons: tuple[str, ...]
    tokens: int


def route(
    text: str, contexts: Mapping[str, int], *, lane: str = "", task: str = "", answer_tokens: int = 1024
) -> Route:
    """Choose a lane.

    Args:
        text: everything that is asked.
        contexts: lane to the tokens that its first engine reads, of lanes that have engines.
        lane: that is asked for by name.
        task: one of ``TASKS``; other words decide nothing.
        answer_tokens: that the answer may have.
    """
    tokens = estimated_tokens(text)
    wanted, why = (lane, "it was asked for by name") if lane else _wanted(text, task)
    reasons = [why]
    served = wanted
    if wanted not in contexts and wanted != DEFAULT:
        served = DEFAULT
        reasons.append(f"{wanted} has no engine, so {DEFAULT} serves it")
    context, longest = contexts.get(served, 0), contexts.get("super_reader", 0)
    if not lane and served != "super_reader" and context and tokens + answer_tokens > context < longest:
        reasons.insert(0, f"about {tokens} tokens and {answer_tokens} for the answer, and {served} reads {context}")
        wanted = served = "super_reader"
    return Route(served, wanted, tuple(reasons), tokens)


def text_of(request: GenerateRequest) -> str:
    """What a request is judged by."""
    return "\n".join(message.content for message in request.conversation())


def _wanted(text: str, task: str) -> tuple[str, str]:
    if task in TASKS:
        return TASKS[task], f"the task is {task}"
    lines = [short for line in text.splitlines() if (short := line[:_MOST_OF_LINE].strip())]
    code = sum(1 for line in lines if _CODE_LINE.match(line))
    if _FENCE.search(text) and code:
        return "coder", "it holds a block of code"
    if code >= _LEAST_CODE and code >= _CODE_SHARE * len(lines):
        return "coder", f"{code} of {len(lines)} lines look like code"
    if found := _GOVERNANCE.search(text):
        return "governance", f"it speaks of {found[0]!r}"
    if _PASSAGES.search(text) and "?" in text:
        return "fast_rag", "it is a question with passages"
    if (found := _ABOUT_CODE.search(text)) and len(lines) <= 3:
        return "coder", f"it asks about {found[0]!r}"
    return DEFAULT, "nothing in it asks for another lane"
