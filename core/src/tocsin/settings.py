"""The settings of a manager: from tocsin.yaml, a mapping, or built in Python."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator

from tocsin.durations import Duration, Seconds
from tocsin.errors import ConfigError, Problem
from tocsin.models import IncidentSeverity
from tocsin.references import Filler, redact
from tocsin.validation import validate, value_at
from tocsin.yamlfile import Document, Location, from_mapping, read_file

INSTALLED = "installed"
"""Stands for all rulesets of the installed packages."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeduplicationSettings(_Section):
    """How long a repeated event_id is known; whichever of the two is less."""

    within: Duration = 600_000_000
    ids: Annotated[StrictInt, Field(ge=0, le=10_000_000)] = 200_000


class DetectionSettings(_Section):
    """How events are taken in and judged."""

    event_retention_seconds: Annotated[float, Field(gt=0)] = 3600
    """How long events are kept, in seconds; longer where a window or a check-point needs them."""
    allowed_lateness: Duration = 0
    """How long events are held to be put in order; 0: each is handled as it comes."""
    max_ahead: Duration = 600_000_000
    """An event whose time lies further in the future than this is kept aside, not judged."""
    idle_after: Seconds = 1.0
    """With no event for so long, time moves on by itself, so that what is due falls due."""
    isolation: Literal["process", "inline"] = "process"
    """Where the rules engine runs: in a process that may crash, or in this one."""
    worker_deadline: Seconds = 2.0
    """How long the rules engine may take over a batch before its process is replaced."""
    max_groups: Annotated[StrictInt, Field(ge=1)] = 50_000
    """Groups remembered for each rule; the least recently used are let go and counted."""
    max_window_events: Annotated[StrictInt, Field(ge=1)] = 10_000
    """Events remembered for each group, where the rule's bounds do not need more."""
    evidence_events: Annotated[StrictInt, Field(ge=0)] = 20_000
    """Matching events kept in memory so that an incident can show them whole."""
    queue_size: Annotated[StrictInt, Field(ge=1)] = 10_000
    """Events that may wait; beyond that, submitting waits."""
    max_event_bytes: Annotated[StrictInt, Field(ge=1024)] = 4 * 1024 * 1024
    """A larger event is refused."""
    deduplication: DeduplicationSettings = DeduplicationSettings()


class ResponseSettings(_Section):
    """What an incident waits for on its way to resolved."""

    quiet_for: Duration = 0
    """No further event of the incident for so long before it counts as recovered."""
    check_every: Seconds = 5.0
    """How often health checks are asked again while they fail."""
    give_up_after: Seconds = 900.0
    """How long to wait for health and quiet before the incident goes back to investigating."""


class _InUse(BaseModel):
    """A plugin's part in use, with parameters that are the part's own."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, value if name in type(self).model_fields else "***"


class NotificationSettings(_InUse):
    """A notifier in use; further keys are its own parameters."""

    enabled: StrictBool = True
    use: str | None = None
    """The notifier's name, where it is not the key itself."""
    min_severity: IncidentSeverity = IncidentSeverity.LOW
    """Only incidents at least this bad are told."""


class IncidentResponseSettings(_Section):
    """What is detected and what follows."""

    enabled: StrictBool = True
    """False: events are still accepted and kept, but no rule is applied."""
    detection: DetectionSettings = DetectionSettings()
    response: ResponseSettings = ResponseSettings()
    notifications: dict[str, NotificationSettings] = Field(
        default_factory=lambda: {"log": NotificationSettings()}
    )


class SourceSettings(_InUse):
    """A source in use; further keys are its own parameters."""

    enabled: StrictBool = True
    use: str | None = None
    """The source's name, where it is not the key itself."""


class RuleSettings(_Section):
    """An operator's changes to one rule."""

    enabled: StrictBool | None = None
    threshold: Annotated[float, Field(ge=0)] | None = None
    within: Duration | None = None
    severity: IncidentSeverity | None = None
    require_consecutive: StrictBool | None = None

    def changes(self) -> dict[str, Any]:
        """Give what is set, as the keywords of `Rule.with_changes`."""
        changes = {name: value for name, value in self if value is not None}
        threshold = changes.get("threshold")
        if threshold is not None and float(threshold).is_integer():
            changes["threshold"] = int(threshold)
        return changes


class PluginSettings(_Section):
    """Which installed plugins are used."""

    disable: tuple[str, ...] = ()
    """Names of plugins that are not loaded."""


class Settings(_Section):
    """All settings of a manager."""

    # What may hold a secret is left out of the `repr`.

    database: Annotated[str, Field(min_length=1, repr=False)] = "tocsin.db"
    """A file for SQLite, or a URL such as `postgresql://user@host/name`."""
    stream: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "main"
    """Names the journal; managers of one database each need a stream of their own."""
    incident_response: IncidentResponseSettings = IncidentResponseSettings()
    sources: dict[str, SourceSettings] = Field(default_factory=dict)
    rulesets: tuple[str, ...] = (INSTALLED,)
    """Files, folders, names of installed rulesets, or `installed` for all of these."""
    rules: dict[str, RuleSettings] = Field(default_factory=dict)
    """Changes to single rules, by id."""
    detectors: dict[str, dict[str, Any]] = Field(default_factory=dict, repr=False)
    """Detectors of plugins in use, each with its parameters."""
    correlators: dict[str, dict[str, Any]] = Field(default_factory=dict, repr=False)
    """Correlators of plugins in use, each with its parameters."""
    plugins: PluginSettings = PluginSettings()

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, data: Any) -> Any:
        return {} if data is None else data


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings and where they came from."""

    settings: Settings = field(repr=False)
    document: Document
    """What was written, before secrets were filled in."""
    filled: Document = field(repr=False)
    """The same with secrets filled in."""
    directory: Path
    """Where relative paths start."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """The values that were filled in, to be kept out of everything that is shown."""

    def problem(self, where: Location, message: str, *, at_key: bool = False) -> Problem:
        """Build the problem for a setting, without any secret in it."""
        return self.document.problem(where, redact(message, self.secrets), at_key=at_key)

    def written(self, where: Location, value: Any) -> Any:
        """Give what was written for a value: itself, unless something was filled in."""
        written = value_at(self.filled.written, where)
        return value if written is None else written

    def part(self, where: Location, values: Mapping[str, Any]) -> Document:
        """Give some of the values of a mapping as a document in which nothing else is.

        Args:
            where: the way to the mapping.
            values: those of its values that are wanted.
        """
        filled = self.filled
        data: Any = dict(values)
        written: Any = {key: self.written((*where, key), value) for key, value in data.items()}
        for part in reversed(where):
            data, written = {part: data}, {part: written}
        if filled.written is None:
            written = None
        return Document(filled.path, data, [], filled.values, filled.keys, written)


def load_settings(
    config: Settings | Mapping[str, Any] | str | os.PathLike[str] | None,
    *,
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """Read settings, filling in `${VARIABLE}` and `${file:PATH}`; `$$` is a dollar sign.

    Args:
        config: settings, a mapping of the same form as tocsin.yaml, the path of such a file, or
            None for the defaults.
        environment: the variables, otherwise those of the process.

    Raises:
        ConfigError: all mistakes, with their places.
    """
    if isinstance(config, Settings):
        document = from_mapping(config.model_dump(mode="json"))
        return Loaded(config, document, document, Path())
    if config is None or isinstance(config, Mapping):
        document, directory = from_mapping(dict(config or {})), Path()
    else:
        path = Path(config)
        document, directory = read_file(path), path.parent
    filler = Filler(document, os.environ if environment is None else environment, directory)
    filled = filler.fill()
    settings, problems = validate(Settings, filled)
    problems = [*document.problems, *filler.problems, *problems]
    if settings is None or problems:
        raise ConfigError(problems)
    return Loaded(settings, document, filled, directory, frozenset(filler.secrets))
