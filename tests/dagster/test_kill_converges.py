"""F4: killed at any point, run again: the same ids, row hashes and vectors as a run that nothing disturbed.

The points are every moment before and after something becomes durable, found by counting a run (``crashing``). By default
every publish and every few others are tried; CORTEX_EVERY_KILL_POINT=1 tries all, each with and without a change of the
source between the kill and the next run.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from difflib import unified_diff
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

from tests.dagster.crashing import Workshop
from tests.dagster.sources import Source, first_source, second_source, third_source, write_source

EVERY = bool(os.environ.get("CORTEX_EVERY_KILL_POINT"))
STRIDE = 11
SLOTS = 2

Image = dict[str, Any]


def clean_image(folder: Path, source: Source) -> Image:
    """What a lake holds after one undisturbed run over ``source``."""
    with Workshop(folder) as workshop:
        write_source(workshop.data / "inbox", source)
        workshop.run()
        image = workshop.image(with_vectors=True)
    assert image["findings"] == []
    assert image["unstored"] == []
    assert image["without vector"] == []
    return image


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    """The images of undisturbed runs over each source."""
    sources = {"first": first_source, "second": second_source, "third": third_source}
    folder = tmp_path_factory.mktemp("clean")
    with ThreadPoolExecutor(SLOTS) as pool:
        images = pool.map(lambda name: clean_image(folder / name, sources[name]()), sources)
        return dict(zip(sources, images, strict=True))


def differences(image: Image, wanted: Image) -> list[str]:
    """Where two images differ: names of parts, and points whose vectors are not alike."""
    found = [name for name in wanted if name != "vectors" and image[name] != wanted[name]]
    for point, vector in wanted["vectors"].items():
        mine = np.array(image["vectors"].get(point, [0.0] * len(vector)))
        if float(mine @ np.array(vector)) < 0.999:
            found.append(f"vector of {point}")
    return found


@pytest.fixture
def workshops(tmp_path: Path) -> Iterator[list[Workshop]]:
    """Two warm processes, each over a lake of its own."""
    made = [Workshop(tmp_path / f"slot{number}") for number in range(SLOTS)]
    try:
        yield made
    finally:
        for workshop in made:
            workshop.__exit__()


def prepare(workshop: Workshop, before: Source | None, source: Source) -> list[str]:
    """Bring a lake to the moment before the run that is to be killed, save it, and count that run's events."""
    inbox = workshop.data / "inbox"
    inbox.mkdir(parents=True)
    if before is not None:
        write_source(inbox, before)
        workshop.run()
    write_source(inbox, source)
    workshop.save()
    events = workshop.run()
    assert events
    workshop.restore()
    return events


def points_to_try(events: list[str]) -> list[int]:
    """Numbers of the events (from 1) to die at."""
    if EVERY:
        return list(range(1, len(events) + 1))
    return [n for n, name in enumerate(events, start=1) if name.startswith("publish") or n % STRIDE == 0]


def each_in_a_slot(
    workshops: list[Workshop], numbers: list[int], work: Callable[[Workshop, int], list[str]]
) -> list[str]:
    """Do ``work`` for every number, side by side in as many lakes as there are; what it complains about."""
    free: SimpleQueue[Workshop] = SimpleQueue()
    for workshop in workshops:
        free.put(workshop)

    def one(number: int) -> list[str]:
        workshop = free.get()
        try:
            return work(workshop, number)
        finally:
            free.put(workshop)

    with ThreadPoolExecutor(len(workshops)) as pool:
        return [complaint for complaints in pool.map(one, numbers) for complaint in complaints]


@pytest.mark.slow
@pytest.mark.timeout(1800 if EVERY else 300)
@pytest.mark.parametrize("scenario", ["first run", "run after changes"])
def test_killed_at_any_point_and_run_again_gives_what_a_clean_run_gives(
    scenario: str, workshops: list[Workshop], clean: dict[str, Image], capsys: pytest.CaptureFixture[str]
) -> None:
    is_first = scenario == "first run"
    before = None if is_first else first_source()
    source = first_source() if is_first else second_source()
    after = second_source() if is_first else third_source()
    plain, changed = (clean["first"], clean["second"]) if is_first else (clean["second"], clean["third"])
    counted = [prepare(workshop, before, source) for workshop in workshops]
    events = counted[0]
    for other in counted:
        told = "\n".join(unified_diff(events, other, "one run", "another", lineterm="", n=1))
        assert other == events, f"two runs over the same lake do the same things in the same order\n{told}"

    def die_and_run_again(workshop: Workshop, number: int) -> list[str]:
        complaints = []
        for is_changed in (False, True) if EVERY else (number % 2 == 0,):
            workshop.restore()
            assert workshop.run(number) is None, f"the run ended before event {number}"
            if is_changed:
                write_source(workshop.data / "inbox", after)
            workshop.run()
            image = workshop.image(with_vectors=True)
            what = f"{number} {events[number - 1]}{', then the source changed' if is_changed else ''}"
            complaints += [f"{what}: {d}" for d in differences(image, changed if is_changed else plain)]
        return complaints

    numbers = points_to_try(events)
    with capsys.disabled():
        print(f"\n{scenario}: {len(events)} kill points, {len(numbers)} of them tried")
    assert each_in_a_slot(workshops, numbers, die_and_run_again) == []


@pytest.mark.slow
@pytest.mark.timeout(1800 if EVERY else 300)
def test_a_killed_maintenance_changes_nothing_that_a_run_would_see(
    workshops: list[Workshop], clean: dict[str, Image], capsys: pytest.CaptureFixture[str]
) -> None:
    events: list[str] = []
    for workshop in workshops:
        prepare(workshop, first_source(), second_source())
        workshop.run()
        workshop.save()
        events = workshop.maintain() or []
    stride = 1 if EVERY else max(1, len(events) // 16)

    def die_and_go_on(workshop: Workshop, number: int) -> list[str]:
        workshop.restore()
        assert workshop.maintain(number) is None, f"maintenance ended before event {number}"
        if number % 2:
            workshop.maintain()
        workshop.run()
        found = differences(workshop.image(with_vectors=True), clean["second"])
        return [f"{number} {events[number - 1]}: {one}" for one in found]

    numbers = list(range(1, len(events) + 1, stride))
    with capsys.disabled():
        print(f"\nmaintenance: {len(events)} kill points, {len(numbers)} of them tried")
    assert each_in_a_slot(workshops, numbers, die_and_go_on) == []
