"""Finding plugins and keeping what they offer."""

from __future__ import annotations

import itertools
import logging
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tocsin import IncidentManager
from tocsin.capabilities import DetectorPlugin, NotifierPlugin, Params, SourcePlugin
from tocsin.errors import ConfigError, PluginError
from tocsin.hookspecs import hookimpl
from tocsin.plugins import Plugins

Install = Callable[..., None]
_numbers = itertools.count()

BELL = """
    from tocsin.capabilities import NotifierPlugin
    from tocsin.hookspecs import hookimpl

    @hookimpl
    def tocsin_notifiers():
        yield NotifierPlugin(name="bell", summary="Rings.", factory=lambda params: None)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Give what puts a distribution with plugins on the path, as an installer would."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def put(distribution: str, version: str = "1.2", **plugins: str) -> None:
        information = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        lines = ["[tocsin]"]
        for name, source in plugins.items():
            module = f"{name}_{next(_numbers)}_for_tests"  # never imported before
            lines.append(f"{name} = {module}")
            (site / f"{module}.py").write_text(textwrap.dedent(source))
        (information / "entry_points.txt").write_text("\n".join(lines))

    return put


def info(plugins: Plugins, name: str) -> tuple[str, str, str, str, tuple[str, ...]]:
    (found,) = (one for one in plugins.found() if one.name == name)
    return found.distribution, found.version, found.status, found.problem, found.offers


class Offers:
    """A plugin given in Python, with notifiers of these names."""

    def __init__(self, *names: str) -> None:
        self.names = names

    @hookimpl
    def tocsin_notifiers(self) -> Iterable[NotifierPlugin]:
        for name in self.names:
            yield NotifierPlugin(name=name, summary="Rings.", factory=never)


def never(*_: object) -> Any:
    raise AssertionError("what is only listed is not made")


def given(*plugins: object) -> Plugins:
    """Load only what is given."""
    return Plugins(extra=plugins, discover=False)


# -- finding ---------------------------------------------------------------------------------------


def test_an_installed_plugin_is_found(install: Install) -> None:
    install("acme-bells", bells=BELL)
    plugins = Plugins()
    assert info(plugins, "bells") == ("acme-bells", "1.2", "loaded", "", ("notifier:bell",))
    assert plugins.get(NotifierPlugin, "bell").summary == "Rings."
    assert plugins.all(NotifierPlugin)["bell"] is plugins.get(NotifierPlugin, "bell")


def test_managers_share_nothing(install: Install) -> None:
    install("acme-bells", bells=BELL)
    one, two = Plugins(), Plugins(disable=["bells"])
    assert info(one, "bells")[2] == "loaded"
    assert info(two, "bells")[2:] == ("disabled", "", ())
    assert "bell" not in two.all(NotifierPlugin)


def test_they_are_listed_by_name(install: Install) -> None:
    install("acme-bells", zulu=BELL, alpha="", mike="")
    names = [one.name for one in Plugins().found()]
    assert names == sorted(names)
    assert {"alpha", "mike", "zulu"} <= set(names)


def test_what_is_given_in_python_is_found_too() -> None:
    plugins = given(Offers("a", "b"), Offers("c"))
    assert [(one.distribution, one.offers) for one in plugins.found()] == [
        ("(given in Python)", ("notifier:a", "notifier:b")),
        ("(given in Python)", ("notifier:c",)),
    ]


def test_there_is_no_such_thing() -> None:
    plugins = given(Offers("slack", "pagerduty"))
    with pytest.raises(PluginError, match="there is no notifier 'slak'; did you mean 'slack'"):
        plugins.get(NotifierPlugin, "slak")
    with pytest.raises(PluginError, match="no notifier 'x'; installed: pagerduty, slack"):
        plugins.get(NotifierPlugin, "x")
    with pytest.raises(PluginError, match=r"there is no source 'slack'$"):
        plugins.get(SourcePlugin, "slack")


# -- clashes ---------------------------------------------------------------------------------------


def test_two_that_offer_the_same_are_named(install: Install) -> None:
    install("acme-bells", bells=BELL)
    install("bell-works", ringing=BELL)
    with pytest.raises(PluginError) as caught:
        Plugins()
    assert str(caught.value) == (
        "two plugins offer the notifier 'bell': 'bells' from acme-bells and 'ringing' from"
        " bell-works; disable one of them"
    )
    assert (caught.value.plugin, caught.value.distribution) == ("ringing", "bell-works")
    assert "bell" in Plugins(disable=["ringing"]).all(NotifierPlugin)


def test_one_name_for_two_kinds_is_no_clash() -> None:
    class Source:
        @hookimpl
        def tocsin_sources(self) -> Iterable[SourcePlugin]:
            yield SourcePlugin(name="bell", summary="Rung.", factory=never)

    plugins = given(Offers("bell"), Source())
    assert plugins.get(SourcePlugin, "bell").name == plugins.get(NotifierPlugin, "bell").name


def test_two_plugins_of_one_name_are_named(install: Install) -> None:
    install("acme-bells", bells=BELL)
    install("bell-works", bells="")
    with pytest.raises(
        PluginError, match=r"two plugins are named 'bells': one from .*; uninstall one of them"
    ) as caught:
        Plugins()
    assert "acme-bells" in str(caught.value)
    assert "bell-works" in str(caught.value)


def test_the_same_name_twice_in_one_plugin() -> None:
    with pytest.raises(PluginError) as caught:
        given(Offers("bell", "bell"))
    assert str(caught.value) == (
        "plugin 'Offers#0' from (given in Python) offers the notifier 'bell' twice"
    )


# -- broken ones -----------------------------------------------------------------------------------

BROKEN = {
    "import": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "syntax": ("def f(:", "SyntaxError: "),
    "value": ("raise ValueError('on purpose')", "ValueError: on purpose"),
    "hook": (
        "from tocsin.hookspecs import hookimpl\n@hookimpl\ndef tocsin_notifierz(): ...",
        "PluginError: unknown hook 'tocsin_notifierz'; did you mean 'tocsin_notifiers'?",
    ),
    "registration": (
        "from tocsin.hookspecs import hookimpl\n@hookimpl\ndef tocsin_sources(): 1 / 0",
        "tocsin_sources fails: ZeroDivisionError",
    ),
    "kind": (
        "from tocsin.hookspecs import hookimpl\n@hookimpl\ndef tocsin_sources(): yield 7",
        "tocsin_sources fails: TypeError: tocsin_sources must yield SourcePlugin, found int",
    ),
    "argument": (
        "from tocsin.hookspecs import hookimpl\n@hookimpl\ndef tocsin_sources(what): yield 7",
        "PluginValidationError: ",
    ),
    "exit": ("raise SystemExit(3)", "SystemExit: 3"),
}


@pytest.mark.parametrize("kind", list(BROKEN))
def test_one_that_is_broken_is_said_and_others_go_on(
    install: Install, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    source, problem = BROKEN[kind]
    install("acme-bells", bells=BELL)
    install("bad-luck", version="0.3", bad=source)
    with caplog.at_level(logging.WARNING, logger="tocsin.plugins"):
        plugins = Plugins()
    distribution, version, status, said, offers = info(plugins, "bad")
    assert (distribution, version, status, offers) == ("bad-luck", "0.3", "broken", ())
    assert problem in said
    assert "bell" in plugins.all(NotifierPlugin)
    (record,) = caplog.records
    assert "'bad'" in record.getMessage()
    assert problem in record.getMessage()


def test_one_that_fails_half_way_offers_nothing(install: Install) -> None:
    source = BELL.replace('name="bell"', 'name="half"') + "        raise ValueError('half')\n"
    install("bad-luck", bad=source)
    plugins = Plugins()
    assert info(plugins, "bad")[2] == "broken"
    assert "half" not in plugins.all(NotifierPlugin)


def test_a_hook_with_nothing_to_offer() -> None:
    class Nothing:
        @hookimpl
        def tocsin_notifiers(self) -> None: ...

    assert given(Nothing()).all(NotifierPlugin) == {}


async def test_one_that_is_broken_and_needed_is_an_error(install: Install, tmp_path: Path) -> None:
    install("bad-luck", pager="raise ValueError('on purpose')")
    config: dict[str, Any] = {"database": str(tmp_path / "x.db"), "rulesets": []}
    config["incident_response"] = {"notifications": {"pager": {}}}
    with pytest.raises(ConfigError) as caught:
        await IncidentManager(config).start()
    assert "notifications.pager: there is no notifier 'pager'" in str(caught.value)
    assert "plugin 'pager' of bad-luck is broken: ValueError: on purpose" in str(caught.value)
    # Where nothing needs it, it is only said.
    config["incident_response"] = {"notifications": {}}
    async with IncidentManager(config) as manager:
        assert manager.running


async def test_one_that_is_broken_may_have_offered_it_under_another_name(
    install: Install, tmp_path: Path
) -> None:
    install("bad-luck", chat="raise ValueError('on purpose')")
    config: dict[str, Any] = {"database": str(tmp_path / "x.db"), "rulesets": []}
    config["incident_response"] = {"notifications": {"slack": {}}}
    with pytest.raises(ConfigError, match="'chat' of bad-luck is broken"):
        await IncidentManager(config).start()


def test_those_that_are_broken_are_all_named_unless_one_speaks_of_it(install: Install) -> None:
    install("acme-slack", chat="raise ValueError('one')")
    install("bad-luck", bad="raise ValueError('two')", worse="raise ValueError('three')")
    plugins = Plugins()
    with pytest.raises(PluginError) as caught:
        plugins.get(SourcePlugin, "slack")
    assert str(caught.value) == (
        "there is no source 'slack'; plugin 'chat' of acme-slack is broken: ValueError: one"
    )
    assert caught.value.distribution == "acme-slack"
    with pytest.raises(PluginError) as caught:
        plugins.get(SourcePlugin, "pager")
    assert "installed: " in str(caught.value)
    assert str(caught.value).endswith(
        "; plugin 'bad' of bad-luck is broken: ValueError: two"
        "; plugin 'chat' of acme-slack is broken: ValueError: one"
        "; plugin 'worse' of bad-luck is broken: ValueError: three"
    )
    assert caught.value.distribution == ""


# -- disabled ones ---------------------------------------------------------------------------------


def test_one_that_is_disabled_is_not_imported(install: Install) -> None:
    install("bad-luck", bad="raise ValueError('on purpose')", pager=BELL)
    plugins = Plugins(disable=["bad", "pager"])
    assert info(plugins, "bad") == ("bad-luck", "1.2", "disabled", "", ())
    with pytest.raises(PluginError, match="'pager' of bad-luck is disabled"):
        plugins.get(NotifierPlugin, "pager")


def test_what_is_not_installed_cannot_be_disabled(install: Install) -> None:
    install("acme-bells", bells=BELL)
    with pytest.raises(PluginError, match="'bels': it is not installed; did you mean 'bells'"):
        Plugins(disable=["bels"])


def test_an_unknown_hook_of_what_is_given_in_python() -> None:
    class Wrong:
        @hookimpl
        def tocsin_incident_change(self) -> None: ...

    with pytest.raises(PluginError, match="did you mean 'tocsin_incident_changed'"):
        given(Wrong())


def test_parameters_are_checked_strictly() -> None:
    class Wanted(Params):
        size: int

    plugin = DetectorPlugin(name="x", summary="x", factory=never, params=Wanted)
    with pytest.raises(ValueError, match="extra_forbidden"):
        plugin.params.model_validate({"size": 1, "sise": 2})
