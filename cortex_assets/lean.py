"""Quicker imports: what a library would load only to be complete is left out. Call it before the library is imported.

Add a library here when it is on the way of every command, offers to do without the rest, and a test shows the gain.
"""

import sys

UNUSED = ("sqlalchemy",)
"""Dataframely imports it for the column types of databases and does without where it is absent; it takes 0.3 s."""


def import_dataframely() -> None:
    """Import dataframely without SQLAlchemy, unless one of both is loaded already. SQLAlchemy can be imported after it."""
    if "dataframely" in sys.modules or any(name in sys.modules for name in UNUSED):
        return
    absent: dict[str, None] = dict.fromkeys(UNUSED)
    sys.modules.update(absent)  # type: ignore[arg-type] # None is Python's own sign of a module that is not there
    try:
        import dataframely  # noqa: F401
    finally:
        for name in UNUSED:
            del sys.modules[name]
