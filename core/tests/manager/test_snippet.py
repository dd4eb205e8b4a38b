"""What the documentation shows first runs as it stands."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from manager.support import settings
from tocsin import IncidentManager

SNIPPET = Path(__file__).with_name("snippet.txt").read_text("utf-8")


async def test_the_snippet(tmp_path: Path) -> None:
    rule = {"when": {"event_type": "error"}, "severity": "high", "group_by": ["source"]}
    names: dict[str, Any] = {"config": settings(tmp_path, rule)}
    body = textwrap.indent(SNIPPET + "return manager, result, stats\n", "    ")
    exec(f"async def snippet():\n{body}", names)  # noqa: S102 - the snippet is ours
    manager, result, stats = await names["snippet"]()
    try:
        assert isinstance(manager, IncidentManager)
        assert (result.severity, result.affected_components) == ("high", ("api",))
        assert [event.message for event in result.events] == ["API error occurred"]
        assert {
            name: stats[name]
            for name in ("total_incidents", "active_incidents", "by_severity", "by_type")
        } == {
            "total_incidents": 1,
            "active_incidents": 0,
            "by_severity": {"high": 1},
            "by_type": {"error_burst": 1},
        }
        assert stats["mttd_seconds"] == 0
        assert 0 <= stats["mttr_seconds"] < 60
    finally:
        await manager.stop()


async def test_with_the_rules_in_a_process_of_their_own(tmp_path: Path) -> None:
    config = settings(tmp_path, {"when": {"event_type": "error"}}, isolation="process")
    names: dict[str, Any] = {"config": config}
    body = textwrap.indent(SNIPPET + "await manager.stop()\n", "    ")
    exec(f"async def snippet():\n{body}", names)  # noqa: S102 - the snippet is ours
    await names["snippet"]()
