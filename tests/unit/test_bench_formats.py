"""What the benchmarks of formats write: as large as asked, of every format, the same each time."""

import mailbox
from pathlib import Path

from tests.bench import formats


def test_a_large_log_and_mailbox_have_about_the_size_asked(tmp_path: Path) -> None:
    log = tmp_path / "log" / "large.log"
    assert 2_000_000 <= formats.write_log(log, 2_000_000) < 3_000_000
    lines = log.read_text(encoding="utf-8").splitlines()
    assert len(lines) > 10_000
    assert len(set(lines)) == len(lines)
    mails = tmp_path / "mbox" / "large.mbox"
    assert 300_000 <= formats.write_mailbox(mails, 300_000) < 310_000
    opened = mailbox.mbox(mails)
    try:
        ids = [message["Message-ID"] for message in opened]
    finally:
        opened.close()
    assert len(ids) > 50
    assert len(set(ids)) == len(ids)


def test_a_mixed_tree_has_every_format_and_is_the_same_each_time(tmp_path: Path) -> None:
    sizes = [formats.write_mixed(tmp_path / name, 260) for name in ("one", "two")]
    assert sizes[0] == sizes[1] > 0
    paths = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert {path.suffix for path in paths} == set(formats.MIXED)
    assert len(paths) == 260
