"""The journal: what is accepted is there, in order, once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from store.support import (
    all_blocks,
    event,
    ids,
    micros,
    models,
    open_journal,
    opened,
    rows,
)
from tocsin.clock import SECOND, to_micros
from tocsin.errors import EventError
from tocsin.store import journal as journal_module
from tocsin.store.database import Database
from tocsin.store.journal import NEVER, Horizon, Journal


async def add(journal: Journal, *names: str, at: float = 0) -> tuple[list[str], int]:
    """Append events; gives the ids that were new and the number of duplicates."""
    appended = await journal.append([event(name) for name in names], accepted_at=micros(at))
    new = [one.event_id for block in appended.blocks for one in block.events]
    return new, appended.duplicates


# -- append and read -------------------------------------------------------------------------------


async def test_what_is_appended_is_read_back(database: Database) -> None:
    journal = await open_journal(database)
    first = [
        event("a", 5, message="m", metadata={"x": [1, {"y": None}]}, correlation_id="c"),
        event("b", 3, severity="critical"),
    ]
    appended = await journal.append(first, accepted_at=micros(10))
    await journal.append([event("c", 4)], accepted_at=micros(11))
    (block,) = appended.blocks
    assert (block.position, appended.duplicates, appended.missed) == (1, 0, [])
    one, two = await journal.read(0)
    assert models(one) == first == models(block)
    assert (one.position, one.accepted_at, one.max_time) == (1, micros(10), micros(5))
    # The newest time of the journal, not of the block: it never goes back.
    assert (two.position, two.accepted_at, two.max_time) == (2, micros(11), micros(5))
    assert journal.position == 2


async def test_reading_starts_behind_a_position_and_ends_at_a_limit(database: Database) -> None:
    journal = await open_journal(database)
    for name in "abcde":
        await add(journal, name)
    assert ids(await journal.read(0, limit=2)) == [["a"], ["b"]]
    assert ids(await journal.read(3)) == [["d"], ["e"]]
    assert await journal.read(5) == []


async def test_an_empty_batch_leaves_nothing(database: Database) -> None:
    journal = await open_journal(database)
    appended = await journal.append([], accepted_at=micros(0))
    assert (appended.blocks, appended.duplicates, journal.position) == ((), 0, 0)


async def test_streams_of_one_database_are_apart(database: Database) -> None:
    one, two = await open_journal(database, "one"), await open_journal(database, "two")
    assert await add(one, "a") == (["a"], 0)
    assert await add(two, "a", "b") == (["a", "b"], 0)
    assert ids(await one.read(0)) == [["a"]]
    assert (one.position, two.position) == (1, 1)
    assert await one.poll() == []


async def test_it_goes_on_where_it_ended(store_url: str) -> None:
    for name in "abc":
        async with opened(store_url) as database:
            journal = await open_journal(database)
            await add(journal, name)
    assert rows(store_url, "SELECT position, count FROM journal ORDER BY position") == [
        (1, 1),
        (2, 1),
        (3, 1),
    ]


async def test_time_moves_on_without_an_event(database: Database) -> None:
    journal = await open_journal(database)
    await journal.append([event("a", 5)], accepted_at=micros(5))
    appended = await journal.append([], accepted_at=micros(9), advance_to=micros(8))
    (block,) = appended.blocks
    assert (block.events, block.max_time) == ((), micros(8))
    again = await journal.append([], accepted_at=micros(9), advance_to=micros(7))
    assert [block.max_time for block in again.blocks] == [micros(8)]
    assert ids(await journal.read(0)) == [["a"], [], []]


# -- a repeated id ---------------------------------------------------------------------------------


async def test_a_repeated_id_is_accepted_once(database: Database) -> None:
    journal = await open_journal(database)
    assert await add(journal, "a", "b", "a", "b", "b") == (["a", "b"], 3)
    assert await add(journal, "b") == ([], 1)
    assert await add(journal, "c", "a", "c") == (["c"], 2)
    assert ids(await journal.read(0)) == [["a", "b"], ["c"]]


async def test_the_first_of_an_id_counts(database: Database) -> None:
    journal = await open_journal(database)
    await journal.append([event("a", message="1"), event("a", message="2")], accepted_at=micros(0))
    await journal.append([event("a", message="3")], accepted_at=micros(0))
    assert [one.message for one in models((await journal.read(0))[0])] == ["1"]


@pytest.mark.parametrize("reopen", [False, True])
class TestHorizon:
    """How long an id is known, whether or not the journal was opened again in between."""

    async def run(
        self,
        database: Database,
        steps: Sequence[tuple[str, float]],
        horizon: Horizon,
        *,
        reopen: bool,
        stream: str = "main",
    ) -> list[str]:
        """Append batches at instants; gives of each what was new."""
        told = []
        journal = await open_journal(database, stream, horizon=horizon)
        for names, at in steps:
            if reopen:
                journal = await open_journal(database, stream, horizon=horizon)
            told.append("".join((await add(journal, *names, at=at))[0]))
        return told

    async def test_by_number(self, database: Database, reopen: bool) -> None:
        steps = [("a", 0), ("b", 0), ("ab", 0), ("c", 0), ("b", 0), ("a", 0), ("d", 0), ("b", 0)]
        told = await self.run(database, steps, Horizon(ids=2), reopen=reopen)
        # Known are: a; ab; ab; bc; bc; ca; ad; db.
        assert told == ["a", "b", "", "c", "", "a", "d", "b"]

    async def test_by_number_in_the_middle_of_a_batch(
        self, database: Database, reopen: bool
    ) -> None:
        steps = [("abcd", 0), ("ef", 0), ("c", 0), ("a", 0), ("f", 0)]
        told = await self.run(database, steps, Horizon(ids=4), reopen=reopen)
        assert told == ["abcd", "ef", "", "a", ""]

    async def test_by_time(self, database: Database, reopen: bool) -> None:
        horizon = Horizon(within=10 * SECOND)
        steps = [("a", 0), ("b", 6), ("a", 10), ("a", 10.000001), ("b", 16), ("b", 17)]
        told = await self.run(database, steps, horizon, reopen=reopen)
        assert told == ["a", "b", "", "a", "", "b"]

    async def test_an_id_that_came_again_beyond_it_is_known_again(
        self, database: Database, reopen: bool
    ) -> None:
        steps = [("a", 0), ("a", 11), ("a", 15)]
        told = await self.run(database, steps, Horizon(within=10 * SECOND), reopen=reopen)
        assert told == ["a", "a", ""]

    async def test_whichever_is_less(self, database: Database, reopen: bool) -> None:
        horizon = Horizon(ids=3, within=10 * SECOND)
        steps = [("abcd", 0), ("b", 5), ("a", 5), ("c", 10), ("d", 11)]
        told = await self.run(database, steps, horizon, reopen=reopen)
        assert told == ["abcd", "", "a", "", "d"]

    async def test_over_many_blocks(
        self, database: Database, reopen: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal_module, "_BLOCKS", 3)
        letters = "abcdefghij"
        steps = [*((letter, at) for at, letter in enumerate(letters)), (letters, 10)]
        horizons = {"ids": Horizon(ids=7), "time": Horizon(within=7 * SECOND), "all": Horizon()}
        told = {
            stream: await self.run(database, steps, horizon, reopen=reopen, stream=stream)
            for stream, horizon in horizons.items()
        }
        assert {stream: new[-1] for stream, new in told.items()} == {
            "ids": "abc",
            "time": "abc",
            "all": "",
        }

    async def test_none_at_all(self, database: Database, reopen: bool) -> None:
        told = await self.run(database, [("aab", 0), ("ab", 0)], Horizon(ids=0), reopen=reopen)
        assert told == ["ab", "ab"]


# -- two who append to one stream ------------------------------------------------------------------


async def test_what_another_appended_is_seen_and_known(store_url: str) -> None:
    async with opened(store_url) as one, opened(store_url) as two:
        here, there = await open_journal(one), await open_journal(two)
        await add(here, "a", "b")
        appended = await there.append([event("b"), event("c")], accepted_at=micros(0))
        assert ids([*appended.missed, *appended.blocks]) == [["a", "b"], ["c"]]
        assert appended.duplicates == 1
        assert ids(await here.poll()) == [["c"]]
        assert await here.poll() == []
        assert await add(here, "c", "d") == (["d"], 1)
        assert await add(there, "d") == ([], 1)
        blocks = await here.read(0)
        assert [name for names in ids(blocks) for name in names] == list("abcd")
        assert [block.position for block in blocks] == list(range(1, len(blocks) + 1))


@pytest.mark.slow
async def test_two_who_append_at_once(store_url: str) -> None:
    """Positions have no gaps, no id is there twice, and each hears of every block once."""
    names = [f"e{number}" for number in range(300)]
    done: set[str] = set()

    async def append(journal: Journal, seed: int) -> list[int]:
        told = []
        rolls = random.Random(seed)
        while left := [name for name in names if name not in done]:
            chosen = rolls.sample(left, min(len(left), rolls.randint(1, 20)))
            appended = await journal.append([event(n) for n in chosen], accepted_at=micros(0))
            blocks = [*appended.missed, *appended.blocks]
            if rolls.random() < 0.3:
                blocks += await journal.poll()
            told += [block.position for block in blocks]
            done.update(name for names in ids(blocks) for name in names)
        return told

    async with opened(store_url) as one, opened(store_url) as two:
        journals = [await open_journal(one), await open_journal(two)]
        told = await asyncio.gather(*(append(journal, n) for n, journal in enumerate(journals)))
        for positions, journal in zip(told, journals, strict=True):
            positions += [block.position for block in await journal.poll()]
        blocks = await all_blocks(await open_journal(one))
    assert sorted(name for names in ids(blocks) for name in names) == sorted(names)
    assert [block.position for block in blocks] == list(range(1, len(blocks) + 1))
    assert told == [[block.position for block in blocks]] * 2


# -- what is refused -------------------------------------------------------------------------------


async def test_too_large_an_event_is_refused_with_its_batch(database: Database) -> None:
    journal = await open_journal(database, max_event_bytes=2000)
    large = event("large", message="x" * 2000)
    with pytest.raises(EventError, match=r"'large' has 2[0-9]{3} bytes, at most 2000") as caught:
        await journal.append([event("a"), large], accepted_at=micros(0), cursor_of={"s": "1"})
    assert caught.value.event_id == "large"
    assert (journal.position, await journal.read(0), await journal.cursor("s")) == (0, [], None)
    # Nothing of the refused batch is taken for known.
    assert await add(journal, "a", "large") == (["a", "large"], 0)


async def test_many_events_may_be_larger_together(database: Database) -> None:
    journal = await open_journal(database, max_event_bytes=2000)
    many = [event(name, message="x" * 1000) for name in "abcde"]
    appended = await journal.append(many, accepted_at=micros(0))
    (block,) = appended.blocks
    assert len(block.events) == 5


async def test_a_large_batch_is_several_blocks_of_one_transaction(database: Database) -> None:
    journal = await open_journal(database, max_event_bytes=2000)
    many = [event(str(number), number) for number in range(4500)]
    large = event("large", message="x" * 3000)
    with pytest.raises(EventError):
        await journal.append([*many, large], accepted_at=micros(0))
    assert (await journal.read(0), journal.position) == ([], 0)
    appended = await journal.append([*many, many[7]], accepted_at=micros(0), cursor_of={"log": "1"})
    assert [len(block.events) for block in appended.blocks] == [2000, 2000, 500]
    assert appended.duplicates == 1
    found = await journal.read(0)
    assert [one.event_id for block in found for one in block.events] == [e.event_id for e in many]
    again = await open_journal(database)
    assert (await again.append(many, accepted_at=micros(0))).blocks == ()


# -- time ------------------------------------------------------------------------------------------


async def test_an_event_far_ahead_is_kept_and_does_not_move_time(database: Database) -> None:
    journal = await open_journal(database, max_ahead=60 * SECOND)
    near, edge, far = event("near", 50), event("edge", 60), event("far", 60.000001)
    await journal.append([near, far, edge], accepted_at=micros(0))
    await journal.append([event("later", 1000)], accepted_at=micros(0))
    one, two = await journal.read(0)
    assert (one.max_time, two.max_time) == (micros(60), micros(60))
    assert [[e.event_id for e in part] for part in journal.part_ahead(one)] == [
        ["near", "edge"],
        ["far"],
    ]
    assert [[e.event_id for e in part] for part in journal.part_ahead(two)] == [[], ["later"]]


async def test_only_events_far_ahead_leave_time_unknown(database: Database) -> None:
    journal = await open_journal(database, max_ahead=60 * SECOND)
    await journal.append([event("far", 100)], accepted_at=micros(0))
    assert (await journal.read(0))[0].max_time == NEVER


async def test_where_to_read_so_as_to_see_all_since_an_instant(database: Database) -> None:
    journal = await open_journal(database)
    assert await journal.start_of(micros(0)) == (0, NEVER)
    for number, times in enumerate([(10, 5), (7,), (20, 1), (15,), (30,)]):
        events = [event(f"{number}.{at}", at) for at in times]
        await journal.append(events, accepted_at=micros(40))
    assert await journal.start_of(micros(0)) == (0, NEVER)
    assert await journal.start_of(micros(10)) == (0, NEVER)
    assert await journal.start_of(micros(10.000001)) == (2, micros(10))
    assert await journal.start_of(micros(20)) == (2, micros(10))
    assert await journal.start_of(micros(21)) == (4, micros(20))
    assert await journal.start_of(micros(30)) == (4, micros(20))
    assert await journal.start_of(micros(31)) == (5, NEVER)


async def test_nothing_since_an_instant_is_overlooked(database: Database) -> None:
    journal = await open_journal(database)
    rolls = random.Random(3)
    for number in range(30):
        events = [event(f"{number}.{i}", rolls.randint(0, 200)) for i in range(rolls.randint(1, 4))]
        await journal.append(events, accepted_at=micros(200))
    blocks = await journal.read(0)
    for instant in map(micros, range(0, 210, 7)):
        after, before = await journal.start_of(instant)
        skipped = [block for block in blocks if block.position <= after]
        assert all(to_micros(e.timestamp) < instant for block in skipped for e in block.events)
        if after < len(blocks):
            assert before == (skipped[-1].max_time if skipped else NEVER)


# -- cursors and letting go ------------------------------------------------------------------------


async def test_cursors_are_stored_with_the_events(database: Database) -> None:
    journal = await open_journal(database)
    assert await journal.cursor("log") is None
    await journal.append([event("a")], accepted_at=micros(0), cursor_of={"log": "1", "x": "9"})
    await journal.append([event("a")], accepted_at=micros(0), cursor_of={"log": "2"})
    await journal.append([], accepted_at=micros(0), cursor_of={"x": ""})
    assert [await journal.cursor(name) for name in ("log", "x", "y")] == ["2", "", None]
    assert await (await open_journal(database, "other")).cursor("log") is None
    assert journal.position == 1


async def test_only_what_nothing_needs_is_let_go(database: Database) -> None:
    journal = await open_journal(database)
    for number in range(1, 7):
        await journal.append([event(number, number)], accepted_at=micros(10 + number))
    everything = {"before": micros(99), "accepted_before": micros(99), "evaluated": 99}
    assert await journal.let_go(**{**everything, "before": micros(1)}) == 0
    assert await journal.let_go(**{**everything, "accepted_before": micros(11)}) == 0
    assert await journal.let_go(**{**everything, "evaluated": 1}) == 0
    assert await journal.let_go(**{**everything, "before": micros(3)}) == 2
    assert await journal.let_go(**{**everything, "accepted_before": micros(14)}) == 1
    assert await journal.let_go(**{**everything, "evaluated": 5}) == 1
    assert ids(await journal.read(0)) == [["5"], ["6"]]
    assert await add(journal, "7") == (["7"], 0)
    assert journal.position == 7
    assert (await open_journal(database)).position == 7
    assert await journal.start_of(micros(0)) == (4, NEVER)


async def test_another_stream_is_not_let_go(database: Database) -> None:
    one, two = await open_journal(database, "one"), await open_journal(database, "two")
    await add(one, "a")
    await add(two, "a")
    assert await one.let_go(before=micros(9), accepted_before=micros(9), evaluated=9) == 1
    assert ids(await two.read(0)) == [["a"]]
