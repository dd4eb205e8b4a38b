"""What a plugin can be: the protocol and the descriptor of each capability.

A registration hook yields descriptors. A descriptor is data (name, summary, parameters) and a
factory, so that listing, selecting, disabling and documenting never run a plugin's code.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict

from tocsin.clock import Clock
from tocsin.models import Detection, Incident, IncidentEvent, Notice

if TYPE_CHECKING:
    import click


class Params(BaseModel):
    """The base of a capability's parameters: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Detector(Protocol):
    """Finds trouble that rules cannot express. Synchronous and pure: same events, same answer."""

    def observe(self, event: IncidentEvent) -> Sequence[Detection]:
        """Take one event, in the order in which the engine handles them."""
        ...

    def dump(self) -> bytes:
        """Give the whole state, to be stored with the checkpoint."""
        ...

    def load(self, state: bytes) -> None:
        """Take a state that `dump` gave."""
        ...


@dataclass(frozen=True, slots=True)
class Placement:
    """A correlator's opinion of where a detection belongs."""

    incident_id: str
    score: float
    """From 0 (a guess) to 1 (certain)."""
    reason: str
    """One sentence for people."""


class Correlator(Protocol):
    """Says which open incident a detection belongs to. Synchronous and pure."""

    def place(self, detection: Detection, open_incidents: Sequence[Incident]) -> Placement | None:
        """Choose among the open incidents, or None where none fits."""
        ...


class Notifier(Protocol):
    """Tells people. `async def` runs on the loop, `def` in a worker thread."""

    def send(self, notice: Notice) -> Any:
        """Deliver one notice.

        Raises:
            Retryable: trying again may help.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """Events that a source read together, and where to go on after them.

    The cursor is stored in the transaction that makes the events durable, so that after a crash a
    source neither loses nor repeats what lies before it.
    """

    events: Sequence[IncidentEvent]
    cursor: str | None = None
    """Opaque to the core; None leaves the stored cursor as it is."""
    skipped: int = 0
    """Input that could not be made into events, to be counted."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a source is given to work with."""

    clock: Clock
    directory: Path
    """Where relative paths of the settings start."""
    report: Callable[[str], None] = field(default=lambda _message: None)
    """Tells the operator something, such as an unreadable file; shown by `tocsin status`."""
    run: Callable[..., Awaitable[Any]] = asyncio.to_thread
    """Calls a function that blocks in a worker thread: of the manager's own, which end with it."""


class Source(Protocol):
    """Brings events in."""

    def batches(self, cursor: str | None) -> AsyncIterator[SourceBatch]:
        """Give batches until cancelled, starting after the stored cursor."""
        ...


@dataclass(frozen=True, slots=True)
class DetectorPlugin:
    """Describes a detector."""

    name: str
    summary: str
    factory: Callable[[Any], Detector]
    """Called with the validated parameters."""
    params: type[BaseModel] = Params


@dataclass(frozen=True, slots=True)
class CorrelatorPlugin:
    """Describes a correlator."""

    name: str
    summary: str
    factory: Callable[[Any], Correlator]
    params: type[BaseModel] = Params


@dataclass(frozen=True, slots=True)
class NotifierPlugin:
    """Describes a notifier."""

    name: str
    summary: str
    factory: Callable[[Any], Notifier]
    params: type[BaseModel] = Params


class LinePattern(Protocol):
    """Turns one line of a log into an event."""

    def parse(self, line: str, *, number: int, origin: str) -> Sequence[IncidentEvent]:
        """Give the events that the line tells of: none where it is not of this form.

        Args:
            line: the text without its line ending.
            number: where the line starts or stands, unique within its origin.
            origin: the name of the file, for the event's id.
        """
        ...


class PatternFactory(Protocol):
    """Makes a line pattern."""

    def __call__(self, *, year: int | None, timezone: tzinfo) -> LinePattern:
        """Make the pattern for lines whose timestamps lack a year or a time zone."""
        ...


@dataclass(frozen=True, slots=True)
class SourcePlugin:
    """Describes a source."""

    name: str
    summary: str
    factory: Callable[[Any, SourceContext], Source]
    """Called with the validated parameters and the context."""
    params: type[BaseModel] = Params
    patterns: Callable[[], Mapping[str, PatternFactory]] = field(default=dict)
    """Named patterns that turn a line of text into an event, offered to `tocsin replay`."""


@dataclass(frozen=True, slots=True)
class RulesetPlugin:
    """Describes a ruleset file that comes with a package."""

    name: str
    summary: str
    file: Traversable | Path


@dataclass(frozen=True, slots=True)
class CommandPlugin:
    """Describes a further command of the CLI."""

    name: str
    summary: str
    factory: Callable[[], click.Command]
    """Called when the command is used, so that a heavy import costs nothing before."""


Capability = (
    DetectorPlugin
    | CorrelatorPlugin
    | NotifierPlugin
    | SourcePlugin
    | RulesetPlugin
    | CommandPlugin
)
