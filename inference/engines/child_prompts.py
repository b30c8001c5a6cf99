"""What a child feeds its model: the conversation in the words of the tokenizer's chat template. Imports no library.

A model without a template gets the contents of the messages, an empty line between them, and goes on from there. A
template that refuses a system message gets that text in front of the first message of the user.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_THINK: Final = "<think>"


class Refused(Exception):
    """A request that is not answered.

    Attributes:
        error: as ``child_words.refusal`` reads it.
    """

    def __init__(self, kind: str, message: object = "", **facts: int) -> None:
        super().__init__(str(message))
        self.error = {"kind": kind, "message": str(message)[:300], **facts}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model goes on from.

    Attributes:
        ids: its tokens.
        opening: what of the answer the template wrote already: ``<think>``, or nothing.
    """

    ids: list[int]
    opening: str = ""


def prompt_of(tokenizer: Any, messages: Sequence[Mapping[str, str]], context: int) -> Prompt:
    """The prompt of a conversation.

    Raises:
        Refused: the template does not take it, or it fills the context.
    """
    if tokenizer.chat_template:
        text = _rendered(tokenizer, messages)
        # The template writes the special tokens itself.
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    else:
        text = "\n\n".join(message["content"] for message in messages)
        ids = tokenizer(text)["input_ids"]
    if len(ids) >= context:
        raise Refused("context", tokens=len(ids))
    if not ids:
        raise Refused("invalid", "it has no tokens")
    return Prompt(list(ids), _THINK if text.rstrip().endswith(_THINK) else "")


def _rendered(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    from jinja2 import TemplateError

    try:
        return _filled(tokenizer, messages)
    except TemplateError as error:
        if messages[0]["role"] != "system" or len(messages) < 2:
            raise Refused("invalid", f"the model's chat template: {error}") from error
    system, first, *rest = messages
    merged = {**first, "content": f"{system['content']}\n\n{first['content']}"}
    try:
        return _filled(tokenizer, [merged, *rest])
    except TemplateError as error:
        raise Refused("invalid", f"the model's chat template: {error}") from error


def _filled(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))
