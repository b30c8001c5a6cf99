"""Addresses of servers as people write them: whether they can be, and how they are shown."""

import urllib.parse


def is_address(url: str) -> bool:
    """Whether it is http or https with a host, a possible port, no user, no query, and nothing that no address may have."""
    try:
        parts = urllib.parse.urlsplit(url)
        has_port = parts.port != 0  # one out of range is a ValueError
    except ValueError:
        return False
    is_bare = not parts.username and "?" not in url and "#" not in url
    is_written = url.isprintable() and not any(one in ' \\"<>^`{|}' for one in url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_bare and is_written and has_port


def shown(url: str) -> str:
    """An address without user, password and query."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return repr(url.rpartition("@")[2])
    return urllib.parse.urlunsplit((parts.scheme, parts.hostname or "", parts.path, "", ""))
