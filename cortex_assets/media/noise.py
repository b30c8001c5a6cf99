"""Names of files and directories that are noise in nearly every folder and archive: builds, caches, lock files.

Add a name here when nobody would miss it. Rules that people write themselves, and how rules outrank each other, are
``corpora.ignore``'s.
"""

_DIRECTORIES = frozenset(
    b".git .hg .svn .bzr node_modules bower_components .venv venv __pycache__ .mypy_cache .pytest_cache .ruff_cache "
    b".hypothesis .tox .nox .eggs .ipynb_checkpoints .gradle .terraform .next .nuxt .idea .vs .Trash __MACOSX "
    b".Spotlight-V100 .fseventsd .stfolder .stversions @eaDir $RECYCLE.BIN .dropbox.cache".split()
) | {b"System Volume Information"}
_BUILT = frozenset(b"build dist target".split())
_DIRECTORY_SUFFIXES = (b".egg-info", b".dist-info")
_NAMES = frozenset(b".DS_Store Thumbs.db ehthumbs.db desktop.ini .directory .localized .git".split())
_SUFFIXES = tuple(
    b".pyc .pyo .class .o .obj .swp .swo .swx .part .partial .crdownload .download .opdownload .filepart .tmp ~".split()
)
_PREFIXES = (b"~$", b".~lock.", b".#", b"._", b".goutputstream-", b".nfs", b".fuse_hidden", b".Trash-", b".syncthing.")


def noise_directory(name: bytes, is_packed: bool = False) -> str | None:
    """The rule by which a directory of this name is left out, or None.

    Args:
        name: last part of its path.
        is_packed: it is in an archive. There ``build``, ``dist`` and ``target`` are what was packed on purpose, and no
            rule file could take them back.
    """
    if name in _DIRECTORIES or (name in _BUILT and not is_packed):
        return f"built-in rule: {name.decode()}/"
    for suffix in _DIRECTORY_SUFFIXES:
        if name.endswith(suffix):
            return f"built-in rule: *{suffix.decode()}/"
    return "built-in rule: .Trash-*/" if name.startswith(b".Trash-") else None


def noise_file(name: bytes) -> str | None:
    """The rule by which a file of this name is left out, or None."""
    if name in _NAMES:
        return f"built-in rule: {name.decode()}"
    if name.endswith(_SUFFIXES):
        return "built-in rule: compiled, temporary or partly downloaded"
    if name.startswith(_PREFIXES):
        return "built-in rule: lock or side file of an editor or system"
    return None
