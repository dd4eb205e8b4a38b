"""The built-in rules: their own tests, the promised figures, and the hook that offers them."""

from __future__ import annotations

import re
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path

import pluggy
import pytest

import tocsin_rulesets
from tocsin import hookspecs
from tocsin.capabilities import RulesetPlugin
from tocsin.durations import parse_duration
from tocsin.models import Detection, IncidentSeverity, IncidentType
from tocsin.rules.cases import case_events, run_cases
from tocsin.rules.compiler import compile_conditions
from tocsin.rules.conditions import event_types
from tocsin.rules.engine import Engine, detect
from tocsin.rules.fields import format_path
from tocsin.rules.loader import load_files
from tocsin.rules.matcher import InlineMatcher
from tocsin.rules.schema import CasePart, Rule

FOLDER = Path(tocsin_rulesets.__file__).parent
RULES = [rule for ruleset in load_files([FOLDER]) for rule in ruleset.rules]
BY_ID = {rule.id: rule for rule in RULES}
SEVEN = {
    "error_burst": (10, "5m", "high", {"error", "api_error"}),
    "service_down": (5, "60s", "critical", {"service_unavailable", "service_down"}),
    "quality_drop": (5, "10m", "medium", {"quality_check_failed"}),
    "workflow_failure_spike": (8, "5m", "high", {"workflow_failed"}),
    "memory_exhaustion": (3, "2m", "critical", {"memory_high"}),
    "performance_degradation": (10, "5m", "medium", {"slow_request"}),
    "disk_space_low": (3, "5m", "high", {"disk_space_low", "disk_low"}),
}
"""Threshold, window, severity and event types of the rules that every installation counts on."""
SEVERITIES = {
    "error_burst": ("high", ["critical"]),
    "service_down": ("critical", []),
    "quality_drop": ("medium", ["high"]),
    "workflow_failure_spike": ("high", ["critical"]),
    "memory_exhaustion": ("critical", []),
    "performance_degradation": ("medium", ["high"]),
    "disk_space_low": ("high", ["critical"]),
    "database_connection_failure": ("critical", []),
    "api_rate_limit": ("medium", ["high"]),
    "cache_failure": ("low", ["medium"]),
    "network_partition": ("high", ["critical"]),
    "deadlock": ("high", ["critical"]),
    "resource_leak": ("medium", ["high"]),
    "zombie_processes": ("medium", ["high"]),
    "security_breach": ("critical", []),
    "data_corruption": ("critical", []),
    "certificate_expiry": ("medium", ["high", "critical"]),
}
"""The severity by default, and what it may rise to."""
ACTIONS = {
    "restart_service",
    "scale_up",
    "clear_cache",
    "rollback_deployment",
    "kill_zombie_processes",
}
"""What can be performed."""
FOR_PEOPLE = {
    "api_rate_limit": {"throttle_requests"},
    "certificate_expiry": {"rotate_certificate"},
    "data_corruption": {"stop_writes", "restore_backup"},
    "network_partition": {"reroute_traffic", "check_network"},
    "security_breach": {"isolate_host", "revoke_credentials"},
    "ssh_brute_force": {"block_address"},
}
"""What is recommended besides: a misspelt action is neither here nor there."""

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)


def types_of(rule: Rule) -> frozenset[str]:
    types = event_types(rule.when)
    assert types is not None, "a rule without event types is asked about every event"
    return types


def kinds(case: CasePart) -> set[str]:
    return {expected.kind for expected in case.expect}


# -- the tests inside the files ----------------------------------------------------------------


@each_rule
def test_cases_pass(rule: Rule) -> None:
    assert [result for result in run_cases([rule]) if not result.passed] == []


@each_rule
def test_cases_show_both_sides(rule: Rule) -> None:
    firing = [case for case in rule.tests if "detection" in kinds(case)]
    silent = [case for case in rule.tests if not case.expect]
    assert len(firing) >= 1
    assert len(silent) >= 2
    first = firing[0].expect[0]
    assert first.severity == rule.severity
    assert set(first.group or {}) == {format_path(path) for path in rule.group_by}


@each_rule
def test_cases_show_every_step(rule: Rule) -> None:
    shown = {
        expected.severity
        for case in rule.tests
        for expected in case.expect
        if expected.kind == "escalation"
    }
    assert shown == {step.severity for step in rule.escalate}


@each_rule
def test_cases_show_the_end(rule: Rule) -> None:
    shown = any("cleared" in kinds(case) for case in rule.tests)
    assert shown == (rule.resolve_after is not None)


# -- what was promised -------------------------------------------------------------------------


@pytest.mark.parametrize("rule_id", SEVEN)
def test_seven_rules_keep_their_promise(rule_id: str) -> None:
    rule = BY_ID[rule_id]
    threshold, within, severity, types = SEVEN[rule_id]
    assert rule.enabled
    assert rule.incident_type == rule_id
    assert [aggregation.name for aggregation in rule.aggregations] == ["count"]
    assert rule.threshold() == ("gte", threshold)
    assert rule.within == parse_duration(within)
    assert rule.severity == IncidentSeverity(severity)
    assert types_of(rule) == types


@pytest.mark.parametrize("rule_id", SEVERITIES)
def test_severities_are_as_promised(rule_id: str) -> None:
    rule = BY_ID[rule_id]
    severity, raised = SEVERITIES[rule_id]
    assert rule.severity == IncidentSeverity(severity)
    assert [step.severity.value for step in rule.escalate] == raised


def test_every_incident_type_is_covered() -> None:
    assert {rule.incident_type for rule in RULES} == set(IncidentType)


@each_rule
def test_recommended_actions_exist(rule: Rule) -> None:
    assert rule.recommend
    assert set(rule.recommend) - ACTIONS == FOR_PEOPLE.get(rule.id, set())


@pytest.mark.parametrize(
    "incident_type", ["security_breach", "data_corruption", "certificate_expiry"]
)
def test_nothing_is_done_automatically_about(incident_type: str) -> None:
    recommended = {a for r in RULES if r.incident_type == incident_type for a in r.recommend}
    assert recommended
    assert recommended & ACTIONS == set()


# -- all rules together ------------------------------------------------------------------------


def test_no_event_type_belongs_to_two_rules() -> None:
    """Otherwise one trouble would open two incidents."""
    counts = Counter(event_type for rule in RULES for event_type in types_of(rule))
    assert [event_type for event_type, count in counts.items() if count > 1] == []


@each_rule
async def test_rule_fires_alone_among_all(rule: Rule) -> None:
    case = next(case for case in rule.tests if case.expect)
    engine = Engine(RULES)
    matcher = InlineMatcher(engine.program)

    signals = await detect(engine, matcher, list(case_events(case)))

    detections = [signal for signal in signals if isinstance(signal, Detection)]
    assert [detection.rule_id for detection in detections] == [rule.id]
    assert detections[0].description
    assert not re.search(r"[{}]|\(none\)", detections[0].title)


@each_rule
def test_rule_is_over_only_after_its_window(rule: Rule) -> None:
    """What is over while the window still holds it up does not fire again when it goes on."""
    assert rule.resolve_after is None or rule.resolve_after >= rule.within


def test_an_event_is_judged_once() -> None:
    """All conditions on events of one type fit into one definition; other types cost nothing."""
    program = compile_conditions((rule.id, rule.when) for rule in RULES)
    assert program.otherwise == ()
    assert {len(shards) for shards in program.by_type.values()} == {1}


# -- the hook ----------------------------------------------------------------------------------


def offered() -> list[RulesetPlugin]:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(tocsin_rulesets)
    manager.check_pending()
    return [plugin for plugins in manager.hook.tocsin_rulesets() for plugin in plugins]


def test_hook_offers_every_file() -> None:
    names = [Path(str(plugin.file)).name for plugin in offered()]
    assert sorted(names) == sorted(path.name for path in FOLDER.glob("*.y*ml"))


@pytest.mark.parametrize("plugin", offered(), ids=lambda plugin: plugin.name)
def test_hook_tells_what_stands_in_the_file(plugin: RulesetPlugin) -> None:
    path = Path(str(plugin.file))
    (ruleset,) = load_files([path])
    assert plugin.name == ruleset.name == path.stem
    assert plugin.summary == ruleset.description


def test_entry_point_names_the_package() -> None:
    (found,) = entry_points(group="tocsin", name="rulesets")
    assert found.load() is tocsin_rulesets
