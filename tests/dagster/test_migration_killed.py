"""F14 and F4: a migration that is killed twice, at any points, and run to its end is the migration that nothing disturbed."""

import os
from pathlib import Path

import pytest

from tests.dagster.crashing import Workshop
from tests.dagster.sources import first_source, second_source, write_source
from tests.dagster.test_kill_converges import Image, differences

EVERY = bool(os.environ.get("CORTEX_EVERY_KILL_POINT"))
TRIES = 14


def migrated(folder: Path) -> Image:
    """What a lake holds after an undisturbed migration."""
    with Workshop(folder) as workshop:
        write_source(workshop.data / "inbox", second_source())
        workshop.run()
        workshop.migrate("packaged")
        workshop.run()
        image = workshop.image(with_vectors=True)
    assert image["findings"] == image["unstored"] == image["without vector"] == []
    return image


@pytest.mark.slow
@pytest.mark.timeout(3600 if EVERY else 600)
def test_killed_twice_in_a_migration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = migrated(tmp_path / "clean")
    assert all(len(spaces) == 2 for _, spaces in wanted["spaces"]), "the old space is kept"
    with Workshop(tmp_path / "killed") as workshop:
        inbox = workshop.data / "inbox"
        write_source(inbox, first_source())
        workshop.run()
        workshop.migrate("packaged")
        write_source(inbox, second_source())
        workshop.save()
        events = workshop.run() or []
        assert differences(workshop.image(with_vectors=True), wanted) == []
        complaints, stride = [], 1 if EVERY else max(1, len(events) // TRIES)
        numbers = range(1, len(events) + 1, stride)
        for number in numbers:
            workshop.restore()
            assert workshop.run(number) is None, f"the run ended before event {number}"
            between = workshop.ask("storm lightning procedure")
            workshop.run(1 + (number * 7) % max(1, len(events) - number))
            workshop.run()
            image = workshop.image(with_vectors=True)
            what = f"{number} {events[number - 1]}"
            complaints += [f"{what}: {one}" for one in [*differences(image, wanted), *image["findings"]]]
            if between[0] != "lightning.docx" or any("by words" in note for note in between):
                complaints.append(f"{what}: between the runs a search found {between}")
    with capsys.disabled():
        print(f"\nmigration: {len(events)} kill points, {len(numbers)} of them tried, twice each")
    assert complaints == []
