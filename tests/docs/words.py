"""What the pages say and the code does not: what operators mean, what to do about an error."""
# ruff: noqa: E501 - a table is read line by line

from __future__ import annotations

from typing import Any, NamedTuple

MISSING = object()
"""A field that the event does not have."""


class Operator(NamedTuple):
    """An operator of a condition, with an example that a test tries."""

    meaning: str
    example: str
    """A condition on `metadata.x`."""
    true: Any
    """A value of the field for which the condition is true."""
    false: Any


OPERATORS = {
    "eq": Operator("equals the value; the same as writing the value alone", "{eq: 200}", 200, "200"),
    "ne": Operator("does not equal it, or is missing", "{ne: 200}", MISSING, 200),
    "lt": Operator("is less", "{lt: 5}", 4.5, 5),
    "lte": Operator("is less or equal", "{lte: 5}", 5, MISSING),
    "gt": Operator("is greater", "{gt: 5}", 6, "6"),
    "gte": Operator("is greater or equal", "{gte: 5}", 5, True),
    "in": Operator("equals one of the list; a list alone means this", "{in: [a, b]}", "a", "c"),
    "not_in": Operator("equals none of the list, or is missing", "{not_in: [a, b]}", MISSING, "a"),
    "exists": Operator("is there (`true`) or missing (`false`)", "{exists: true}", 0, MISSING),
    "contains": Operator("is a list with the value, or text with it inside", "{contains: err}", "an error", "fine"),
    "starts_with": Operator("is text that starts with it", "{starts_with: /api}", "/api/orders", "/health"),
    "ends_with": Operator("is text that ends with it", "{ends_with: .php}", "/index.php", "/index"),
    "matches": Operator("is text in which the RE2 pattern is found", "{matches: '^5[0-9]{2}$'}", "503", 503),
    "between": Operator("lies between two values, both included", "{between: [10, 20]}", 20, 21),
    "cidr": Operator("is an address in the network, or in one of a list", "{cidr: 10.0.0.0/8}", "10.1.2.3", "11.1.2.3"),
}  # fmt: skip


def shown(value: Any) -> str:
    """Write a value for the table of operators."""
    if value is MISSING:
        return "a missing field"
    return f"`{value!r}`" if isinstance(value, str) else f"`{str(value).lower()}`"


ERRORS = {
    "TocsinError": "Catch this to catch all of them; each of them is described below.",
    "ProblemsError": "Go through `problems`: each has `path`, `line`, `column` and `message`.",
    "ConfigError": "Correct the settings at the places that it names; `tocsin config check` shows the rest.",
    "RulesetError": "Correct the ruleset at the places that it names; `tocsin rules lint` shows the rest.",
    "PluginError": "Install, upgrade or disable the plugin; `tocsin plugins list` shows which is broken and why.",
    "TransitionError": "Take one of the `allowed` statuses first, or leave the incident as it is.",
    "EventError": (
        "Make the event smaller, or raise `incident_response.detection.max_event_bytes`. Submitting"
        " the same event again is refused again."
    ),
    "StoreError": (
        "See to the database: whether it answers, has space and may be written. Submit the same"
        " events again, with the same ids: should one have been stored after all, it counts once."
    ),
    "MatcherError": (
        "Install durable-rules as the message says. A running manager keeps accepting events and"
        " evaluates them once the rules engine is back."
    ),
    "Retryable": "Raise it in `Notifier.send` where the same notice may go through later; hosts never see it.",
    "OwnedElsewhereError": "Stop the other process, or give this one a `stream` of its own.",
    "NoDatabaseError": "Run `tocsin run`, which makes it, or name other settings with `--config`.",
    "EventFileError": "Correct the lines that it names, or pass `--skip-invalid` to `tocsin replay`.",
}  # fmt: skip
"""By the name of the class."""

SUMMARIES = {
    "Bounds": (
        "What the value of `count` or `distinct` is compared with; all that are given must hold."
        " `field` is for `distinct` only."
    ),
}
"""By section of the ruleset page, where the class's own docstring says too little."""

MEANINGS = {
    ("DeduplicationSettings", "within"): "For how long.",
    ("DeduplicationSettings", "ids"): "How many ids.",
    ("NotificationSettings", "enabled"): "False: the notifier is not used.",
    ("SourceSettings", "enabled"): "False: the source is not run.",
    ("RuleSettings", "enabled"): "Whether the rule is applied.",
    ("RuleSettings", "threshold"): "Takes the place of the `gte` or `gt` of the window's first aggregate.",
    ("RuleSettings", "within"): "The window's length.",
    ("RuleSettings", "severity"): "The severity of the rule's detections.",
    ("RuleSettings", "require_consecutive"): "Only an unbroken run of matching events counts.",
    ("RulesetPart", "ruleset"): "The ruleset's name.",
    ("RulesetPart", "description"): "For people.",
    ("RulesetPart", "rules"): "At least one.",
    ("RulePart", "id"): "Unique among all rules in use.",
    ("RulePart", "description"): "For people; incidents show it.",
    ("RulePart", "enabled"): "False: the rule is not applied, unless an operator enables it.",
    ("RulePart", "incident_type"): "The type of its incidents: a built-in one or any lower-case name.",
    ("RulePart", "severity"): "The severity of its detections, unless `escalate` raises it.",
    ("RulePart", "escalate"): "When it is worse; the highest severity reached counts.",
    ("RulePart", "tests"): "Run by `tocsin rules test`.",
    ("WindowPart", "count"): "How many matching events the window holds.",
    ("WindowPart", "distinct"): "How many different values of a field the window holds.",
    ("DistinctLimit", "eq"): "Equal to.",
    ("DistinctLimit", "ne"): "Not equal to.",
    ("DistinctLimit", "lt"): "Less than.",
    ("DistinctLimit", "lte"): "Less than or equal to.",
    ("DistinctLimit", "gt"): "Greater than.",
    ("DistinctLimit", "gte"): "Greater than or equal to.",
    ("EscalatePart", "if"): "When it applies.",
    ("EscalatePart", "severity"): "Above the rule's own.",
    ("EscalateIf", "count"): "How many matching events the window holds.",
    ("EscalateIf", "distinct"): "Where the window has it too.",
    ("CaseEvent", "repeat"): "How many; in texts, `{n}` becomes the number of each.",
    ("CaseExpectation", "kind"): "What comes. Escalations and clearings are only compared where one is expected.",
    ("CaseExpectation", "at"): "When, counted from the test's start.",
    ("CaseExpectation", "group"): "The group's values; those that are left out may be any.",
    ("CaseExpectation", "severity"): "The severity; any, where it is left out.",
    ("CasePart", "name"): "Unique within the rule.",
    ("CasePart", "events"): "What comes in.",
    ("CasePart", "expect"): "What should come of it; an empty list where nothing should.",
}  # fmt: skip
"""By model and field: what a field means, where its source does not say."""
