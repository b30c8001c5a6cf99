"""Log lines as JSON, one object a line, for machines that gather them: asked for by ``CORTEX_LOG=json``.

What is logged is said where it happens; here it gets its form. Prompts, answers and contents of files are never logged.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

JSON: Final = "json"
OWN: Final = ("cortex", "apps", "cortex_assets", "inference", "resources", "sensors")
FIELDS: Final = (
    "trace_id", "run_id", "shard", "caller", "lane", "engine", "model", "outcome", "attempt", "seconds", "prompt_tokens",
    "completion_tokens", "is_estimated", "cost",
)  # fmt: skip
"""What a line may say besides time, level, logger and message: given to a logger as ``extra``."""
_MOST: Final = 2_000


class JsonLines(logging.Formatter):
    """One line of JSON a record."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:_MOST],
        }
        line |= {name: getattr(record, name) for name in FIELDS if getattr(record, name, None) not in (None, "")}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, default=str)


def configure(form: str) -> None:
    """Have the project's loggers write JSON to stderr, from INFO on, where that is asked for; said twice, it is done once.

    Args:
        form: ``json``, or ``text``: all stays as it is.
    """
    if form != JSON:
        return
    for name in OWN:
        logger = logging.getLogger(name)
        if not any(isinstance(handler.formatter, JsonLines) for handler in logger.handlers):
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(JsonLines())
            logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
