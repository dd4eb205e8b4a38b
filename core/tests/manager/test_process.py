"""`process_incident`: through the stages to resolved, waiting only for what is configured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from manager.support import START, Drive, clock_at, event, running, settings
from tocsin import Incident, IncidentManager, IncidentStatus
from tocsin.hookspecs import hookimpl

S = IncidentStatus
ALL_STAGES = [S.ASSESSING, S.CONTAINING, S.INVESTIGATING, S.REMEDIATING, S.RECOVERING, S.RESOLVED]
SLOWLY = {"check_every": "5s", "give_up_after": "1m"}


async def one_incident(manager: IncidentManager, name: str = "a") -> Incident:
    await manager.submit_event(event(name, message="boom"))
    (incident,) = await manager.check_for_incidents()
    return incident


def stages(incident: Incident) -> list[str]:
    return [str(e.data["status"]) for e in incident.timeline if e.kind in ("status", "reopened")]


async def test_through_all_stages(tmp_path: Path) -> None:
    rule = {"recommend": ["restart_service", "scale_up"], "severity": "high"}
    async with running(settings(tmp_path, rule), clock=clock_at(60)) as manager:
        incident = await one_incident(manager)
        result = await manager.process_incident(incident)
        assert result == await manager.get_incident(incident.id)
    assert result.status is S.RESOLVED
    assert stages(result) == ALL_STAGES
    for stage in ALL_STAGES:
        assert getattr(result, f"{stage}_at") == START + timedelta(seconds=60)
    assert result.mttr() == timedelta(seconds=60)
    assert result.root_cause == {
        "primary_event_type": "fail",
        "primary_source": "api",
        "event_types": {"fail": 1},
        "sources": {"api": 1},
        "events": 1,
    }
    notes = [entry.text for entry in result.timeline if entry.kind == "status"]
    assert "high; 1 events; components: api" in notes[0]
    assert "recommended actions: restart_service, scale_up" in notes[1]
    assert "mostly fail from api" in notes[2]


async def test_by_id(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as manager:
        incident = await one_incident(manager)
        assert (await manager.process_incident(incident.id)).status is S.RESOLVED


async def test_what_is_resolved_stays_so(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as manager:
        first = await manager.process_incident(await one_incident(manager))
        assert await manager.process_incident(first) == first


async def test_it_does_not_wait_where_nothing_is_configured(tmp_path: Path) -> None:
    """The clock stands still: whoever sleeps on it does not come back."""
    async with running(settings(tmp_path)) as manager:
        async with asyncio.timeout(5):
            await manager.process_incident(await one_incident(manager))


async def test_after_the_events_time_the_story_stays_in_order(tmp_path: Path) -> None:
    """A machine's clock may be behind the events."""
    async with running(settings(tmp_path), clock=clock_at(-30)) as manager:
        result = await manager.process_incident(await one_incident(manager))
    assert result.mttr() == timedelta(0)


# -- health ----------------------------------------------------------------------------------------


def is_well(answers: list[Any]) -> Callable[[], Any]:
    """Give a check that answers in turn, then well."""

    def check() -> Any:
        answer = answers.pop(0) if answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    return check


@pytest.mark.parametrize("colour", ["def", "async def"])
async def test_it_waits_for_health(tmp_path: Path, colour: str) -> None:
    clock = clock_at(60)
    async with running(settings(tmp_path, response=SLOWLY), clock=clock) as manager:
        plain = is_well([False, ConnectionError("refused"), False])

        async def on_the_loop() -> bool:
            return bool(plain())

        manager.add_health_check("api", plain if colour == "def" else on_the_loop)
        manager.add_health_check("other", lambda: 1 // 0 == 0)
        work = manager.process_incident(await one_incident(manager))
        result = await Drive(clock, 1).until_done(work)
    assert result.status is S.RESOLVED
    waited = result.resolved_at - result.recovering_at
    assert timedelta(seconds=15) <= waited < timedelta(seconds=25)


async def test_without_health_it_is_investigated_again(tmp_path: Path) -> None:
    clock = clock_at(60)
    async with running(settings(tmp_path, response=SLOWLY), clock=clock) as manager:

        def check() -> bool:
            raise ConnectionError("refused")

        manager.add_health_check("api", check)
        incident = await one_incident(manager)
        result = await Drive(clock, 5).until_done(manager.process_incident(incident))
        assert result.status is S.INVESTIGATING
        assert stages(result) == [*ALL_STAGES[:-1], S.INVESTIGATING]
        assert result.timeline[-1].text.endswith(
            "not recovered: the health check of api fails: ConnectionError: refused"
        )
        assert manager.get_statistics()["active_incidents"] == 1
        # It goes on from there once all is well.
        manager.add_health_check("api", lambda: True)
        again = await manager.process_incident(result)
    assert again.status is S.RESOLVED
    assert stages(again)[6:] == [S.REMEDIATING, S.RECOVERING, S.RESOLVED]


class AsyncCallable:
    async def __call__(self) -> bool:
        return False


async def sick() -> bool:
    return False


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("check", [AsyncCallable(), lambda: sick()], ids=["object", "lambda"])  # noqa: PLW0108
async def test_a_check_that_gives_an_awaitable(tmp_path: Path, check: Any) -> None:
    clock = clock_at(60)
    async with running(settings(tmp_path, response=SLOWLY), clock=clock) as manager:
        manager.add_health_check("api", check)
        work = manager.process_incident(await one_incident(manager))
        assert (await Drive(clock, 5).until_done(work)).status is S.INVESTIGATING


async def test_a_check_that_fails_with_an_odd_text(tmp_path: Path) -> None:
    clock = clock_at(60)
    async with running(settings(tmp_path, response=SLOWLY), clock=clock) as manager:
        manager.add_health_check("api", is_well([OSError("caf\udce9 \x00")] * 99))
        work = manager.process_incident(await one_incident(manager))
        assert (await Drive(clock, 5).until_done(work)).status is S.INVESTIGATING


# -- quiet -----------------------------------------------------------------------------------------


async def test_it_waits_for_quiet(tmp_path: Path) -> None:
    clock = clock_at(60)
    response = {"quiet_for": "5m", "check_every": "10s", "give_up_after": "1h"}
    async with running(settings(tmp_path, response=response), clock=clock) as manager:
        await manager.submit_event(event("a", 50))
        (incident,) = await manager.check_for_incidents()
        work = asyncio.ensure_future(manager.process_incident(incident))
        for number, at in enumerate((150, 240)):
            while (clock.now() - START).total_seconds() < at:
                await clock.advance(10)
                await asyncio.sleep(0.01)
            await manager.submit_event(event(f"more{number}", at))
            await manager.check_for_incidents()
            assert not work.done()
        result = await Drive(clock, 10).until_done(work)
    assert result.event_count == 3
    assert timedelta(seconds=540) <= result.resolved_at - START < timedelta(seconds=600)


async def test_events_that_do_not_fire_again_are_no_quiet(tmp_path: Path) -> None:
    """A condition that fires at most every quarter of an hour goes on in between."""
    clock = clock_at(60)
    rule = {"window": {"count": {"gte": 2}, "within": "5m"}, "once_within": "15m"}
    response = {"quiet_for": "1m", "check_every": "10s", "give_up_after": "1h"}
    async with running(settings(tmp_path, rule, response=response), clock=clock) as manager:
        await manager.submit_events([event("a", 50), event("b", 51)])
        (incident,) = await manager.check_for_incidents()
        work = asyncio.ensure_future(manager.process_incident(incident))
        for number in range(20):
            await clock.advance(10)
            await manager.submit_event(event(number, 60 + 10 * (number + 1)))
            await manager.check_for_incidents()
        assert not work.done()
        await Drive(clock, 10).until_done(work)


# -- at the same time ------------------------------------------------------------------------------


async def test_several_incidents_side_by_side(tmp_path: Path) -> None:
    async with running(settings(tmp_path, {"group_by": ["source"]})) as manager:
        await manager.submit_events([event(n, source=f"s{n}") for n in range(10)])
        found = await manager.check_for_incidents()
        results = await asyncio.gather(*(manager.process_incident(one) for one in found))
        assert {result.status for result in results} == {S.RESOLVED}
        assert manager.get_statistics()["active_incidents"] == 0


async def test_the_same_incident_twice(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as manager:
        incident = await one_incident(manager)
        results = await asyncio.gather(
            *(manager.process_incident(incident) for _ in range(3)), return_exceptions=True
        )
        assert [result for result in results if isinstance(result, BaseException)] == []
        assert (await manager.get_incident(incident.id)).status is S.RESOLVED


async def test_events_that_join_meanwhile_are_not_lost(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as manager:
        incident = await one_incident(manager)

        async def submit() -> None:
            for number in range(20):
                await manager.submit_event(event(number))

        result, _ = await asyncio.gather(manager.process_incident(incident), submit())
        assert result.status is S.RESOLVED
        opened = await manager.check_for_incidents()
        last = await manager.get_incident(incident.id)
        later = [await manager.get_incident(one.id) for one in opened]
    assert last.status is S.RESOLVED
    assert last.event_count + sum(one.event_count for one in later) == 21


async def test_after_resolving_a_new_incident_is_opened(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as manager:
        first = await manager.process_incident(await one_incident(manager))
        second = await one_incident(manager, "b")
        assert second.id != first.id
        assert (await manager.get_incident(first.id)).event_count == 1


async def test_cancelled_while_it_waits(tmp_path: Path) -> None:
    config = settings(tmp_path, response={"quiet_for": "1h"})
    async with running(config, clock=clock_at(60)) as manager:
        incident = await one_incident(manager)
        work = asyncio.ensure_future(manager.process_incident(incident))
        await asyncio.sleep(0.2)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert (await manager.get_incident(incident.id)).status is S.RECOVERING


async def test_cancelled_at_any_moment(tmp_path: Path) -> None:
    """What is stored and what the manager believes stay the same: no change is taken back."""
    config = settings(tmp_path, {"group_by": ["source"]})
    async with running(config) as manager:
        for number in range(60):
            await manager.submit_event(event(f"{number}a", source=f"s{number}"))
            (incident,) = await manager.check_for_incidents()
            work = asyncio.ensure_future(manager.process_incident(incident))
            await asyncio.sleep(number / 4000)
            work.cancel()
            await asyncio.wait([work])
            await asyncio.sleep(0.01)  # what was being written is written
            before = await manager.get_incident(incident.id)
            await manager.submit_event(event(f"{number}b", source=f"s{number}"))
            opened = await manager.check_for_incidents()
            after = await manager.get_incident(incident.id)
            assert stages(after) == stages(before)
            assert after.status is before.status
            assert len(opened) == (0 if before.active else 1)


class Responder:
    """A plugin that has each incident processed as it is opened."""

    manager: IncidentManager

    def __init__(self) -> None:
        self.done: list[Incident] = []

    @hookimpl
    async def tocsin_incident_changed(self, incident: Incident, change: str) -> None:
        if change == "opened":
            async with asyncio.timeout(5):
                self.done.append(await self.manager.process_incident(incident))


async def test_from_within_a_plugin(tmp_path: Path) -> None:
    responder = Responder()
    responder.manager = IncidentManager(settings(tmp_path), plugins=[responder])
    async with responder.manager as manager:
        await manager.submit_event(event("a"))
        await manager.check_for_incidents()
    assert [incident.status for incident in responder.done] == [S.RESOLVED]
