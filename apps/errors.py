"""How the outside of Cortex says that something is wrong: what, where, remedy. Never a traceback unless asked for.

``CommandError`` is raised by the modules in ``apps``; errors of the rooms, resources and inference carry the same three
things in one sentence and are shown as they are. The exit codes of the command line are declared here, too.
"""

from dataclasses import asdict, dataclass

from resources.settings import SettingsError, load_settings

OK = 0
FOUND = 1
USAGE = 2
INTERRUPTED = 130

OWN_PACKAGES = ("apps", "cortex_assets", "inference", "resources", "sensors")


class CommandError(Exception):
    """A command cannot do what was asked.

    Attributes:
        what: what is wrong, in one sentence.
        where: the path, table or option it is about; may be empty.
        remedy: what the reader can do now; may be empty.
        exit_code: what the command line ends with.
    """

    def __init__(self, what: str, where: str = "", remedy: str = "", exit_code: int = FOUND) -> None:
        super().__init__(what)
        self.what, self.where, self.remedy, self.exit_code = what, where, remedy, exit_code


@dataclass(frozen=True, slots=True)
class Explained:
    """An error as it is shown."""

    what: str
    where: str
    remedy: str

    def to_dict(self) -> dict[str, str]:
        """For ``--json``."""
        return asdict(self)


def is_expected(error: BaseException) -> bool:
    """Whether the project, or the operating system about a file, raised it: then its message is meant for people."""
    return type(error).__module__.split(".")[0] in OWN_PACKAGES or isinstance(error, OSError)


def explain(error: BaseException) -> Explained:
    """Say what, where and remedy of any error, without what is secret: an object store repeats what was sent to it."""
    said = _explained(error)
    try:
        bucket = load_settings().bucket
    except SettingsError:
        return said
    return said if bucket is None else Explained(*(bucket.hide(text) for text in (said.what, said.where, said.remedy)))


def _explained(error: BaseException) -> Explained:
    if isinstance(error, CommandError):
        return Explained(error.what, error.where, error.remedy)
    if isinstance(error, OSError) and not is_own(error):
        return Explained(
            error.strerror or str(error), str(error.filename or ""), "check that it exists and may be read and written"
        )
    if is_expected(error):
        return Explained(str(error), "", "")
    return Explained(
        f"unexpected {type(error).__name__}: {error}",
        "",
        "what was committed is consistent; the same command again continues. With --debug the whole trace is shown",
    )


def is_own(error: BaseException) -> bool:
    """Whether the error's class is declared in this project."""
    return type(error).__module__.split(".")[0] in OWN_PACKAGES
