"""``fairlead plugins list``, ``inspect`` and ``doctor``, with real distributions installed for the test."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairlead_tests.plugins.distributions import EXPLAINER, RUNTIME, Site, is_imported

if TYPE_CHECKING:
    from fairlead_tests.cli.conftest import Command

SCRIPT = Path(sys.executable).with_name("fairlead")

RICH = """
from fairlead import Capability, Library, ModelFormat, RuntimeSpec, Setting, hookimpl

@hookimpl
def fairlead_runtimes():
    return [
        RuntimeSpec(
            name="rich",
            formats=(ModelFormat("rich", "2", priority=3), ModelFormat("poor", auto_select=False)),
            factory="{package}.work:Work",
            artifacts=("*.rich", "saved/"),
            capabilities=frozenset({Capability.JSON, Capability.BATCHING}),
            libraries=(Library("pluggy", "pluggy"), Library("no-such-library", "no_such_library")),
            settings=(Setting("mode", "fast", "How to be.", choices=("fast", "good"), flags=("--mode",), env=("M=good", "MODE")),),
            unpickles=True,
        )
    ]
"""  # noqa: E501  # a whole module in one string


def rows(output: str) -> dict[str, list[str]]:
    """The lines of the table, by the plugin's name."""
    lines = output.partition("\n\n")[0].splitlines()[1:]
    return {line.split()[1]: line.split() for line in lines}


def parsed(output: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(output)
    return value


# -- list -----------------------------------------------------------------------------------------------


def test_list_shows_each_plugin_with_its_distribution_and_state(fairlead: Command, site: Site) -> None:
    site.install("good")
    ran = fairlead("plugins", "list")
    assert ran.status == 0
    assert rows(ran.output)["good"] == ["runtime", "good", "1.2.3", "fairlead-runtime-good", "available"]
    assert rows(ran.output)["file"][0] == "storage"
    assert "`fairlead plugins doctor`" in ran.output


def test_list_shows_what_is_broken_and_why(fairlead: Command, site: Site) -> None:
    site.install("bad", plugin="raise RuntimeError('cannot')")
    site.install("newer", requires=("fairlead>=99",))
    ran = fairlead("plugins", "list")
    assert ran.status == 0
    assert rows(ran.output)["bad"][-1] == "broken"
    assert rows(ran.output)["newer"][-1] == "incompatible"
    assert "raises RuntimeError: cannot" in ran.output
    assert "needs fairlead>=99" in ran.output


def test_list_without_import_reads_metadata_alone(fairlead: Command, site: Site) -> None:
    module = site.install("bad", plugin="raise RuntimeError('cannot')")
    ran = fairlead("plugins", "list", "--no-import")
    assert rows(ran.output)["bad"][-1] == "available"
    assert not is_imported(module)


def test_list_of_one_kind_imports_and_shows_that_kind_alone(fairlead: Command, site: Site) -> None:
    runtime = site.install("good")
    site.install("why", plugin=EXPLAINER, group="fairlead.explainers")
    ran = fairlead("plugins", "list", "--kind", "explainer")
    assert "why" in rows(ran.output)
    assert not {"good", "python"} & set(rows(ran.output))
    assert not is_imported(runtime)


def test_list_where_nothing_is_installed_says_so(fairlead: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    fairlead("plugins", "list")  # imports what the command needs
    monkeypatch.setattr(sys, "path", [])
    assert fairlead("plugins", "list").output.startswith("No plugins are installed.")


def test_list_shows_the_allow_list(fairlead: Command, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("good")
    site.install("other")
    monkeypatch.setenv("FAIRLEAD_PLUGINS", "good,absent")
    monkeypatch.setenv("FAIRLEAD_PLUGINS_STRICT", "1")
    ran = fairlead("plugins", "list")
    assert rows(ran.output)["good"][-1] == "available"
    assert rows(ran.output)["other"][-1] == "blocked"
    assert "FAIRLEAD_PLUGINS allows good, absent.\nabsent: on the list, and not installed.\n" in ran.output
    assert "FAIRLEAD_PLUGINS_STRICT is set" in ran.output


def test_list_as_json(fairlead: Command, site: Site) -> None:
    module = site.install("newer", requires=("fairlead>=99",))
    site.install("damaged", entry_points="[fairlead.runtimes]\nno equals sign\n")
    said = parsed(fairlead("plugins", "list", "--json").output)
    (newer,) = [each for each in said["plugins"] if each["name"] == "newer"]
    assert newer.pop("error")["remedy"] == "Try: pip install --upgrade fairlead-runtime-newer fairlead"
    assert newer == {
        "id": "runtime:newer",
        "kind": "runtime",
        "name": "newer",
        "version": "1.2.3",
        "distribution": "fairlead-runtime-newer",
        "module": module,
        "state": "incompatible",
    }
    assert said["allowed"] is None
    assert "fairlead-runtime-damaged" in said["unreadable"][0]


def test_list_on_a_terminal_is_a_table_with_the_same_words() -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [SCRIPT, "plugins", "list"], stdout=theirs, check=True, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    )
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    assert done.returncode == 0
    assert b"\x1b[32mavailable" in shown
    assert "─".encode() in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that the other end is closed
        return b""


# -- inspect --------------------------------------------------------------------------------------------


def test_inspect_shows_every_field_of_the_spec(fairlead: Command, site: Site) -> None:
    site.install("rich", plugin=RICH)
    shown = fairlead("plugins", "inspect", "rich").output
    for line in (
        "rich 2 (chosen automatically, priority 3)",
        "poor (only when named)",
        "*.rich, saved/",
        "batching, json",
        "no-such-library (not installed)",
        "mode = 'fast'",
        "How to be.",
        "choices: fast, good",
        "flags: --mode",
        "environment: M=true means good, MODE",
        "unpickles     yes",
    ):
        assert line in shown
    assert "pluggy (1." in shown


def test_inspect_as_json(fairlead: Command, site: Site) -> None:
    site.install("rich", plugin=RICH)
    said = parsed(fairlead("plugins", "inspect", "runtime:rich", "--json").output)
    spec = said["spec"]
    assert said["state"] == "available"
    assert spec["capabilities"] == ["batching", "json"]
    assert spec["libraries"][1] == {
        "distribution": "no-such-library",
        "module": "no_such_library",
        "alternatives": [],
        "writes": True,
        "reads_older": False,
        "hint": "",
        "installed": None,
    }
    assert spec["settings"][0]["env"] == ["M=good", "MODE"]


def test_inspect_of_a_name_of_several_kinds_asks_which(fairlead: Command, site: Site) -> None:
    site.install("graphs")
    site.install("graphs", plugin=EXPLAINER, group="fairlead.explainers", distribution="fairlead-explainer-graphs")
    ran = fairlead("plugins", "inspect", "graphs")
    assert ran.errors == "error: Several plugins are named graphs.\nSay explainer:graphs or runtime:graphs.\n"
    assert fairlead("plugins", "inspect", "explainer:graphs").output.startswith("explainer graphs, of")


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_inspect_of_a_broken_plugin_says_what_is_known_and_why(
    fairlead: Command, site: Site, flags: tuple[str, ...]
) -> None:
    site.install("bad", plugin="raise RuntimeError('cannot')")
    ran = fairlead("plugins", "inspect", "bad", *flags)
    assert ran.status == 1
    assert "fairlead-runtime-bad" in ran.output
    assert "raises RuntimeError: cannot" in ran.errors


def test_inspect_of_a_kind_that_does_not_exist_names_the_kinds(fairlead: Command) -> None:
    assert "there are runtime, storage, explainer, autoscaler" in fairlead("plugins", "inspect", "cloud:x").errors


def test_inspecting_a_name_that_there_is_not_suggests_the_nearest(fairlead: Command, site: Site) -> None:
    site.install("good")
    assert "There is no plugin 'god' of any kind.\nDid you mean good?\n" in fairlead("plugins", "inspect", "god").errors
    assert "it is named fairlead-<kind>-xyzzy by convention" in fairlead("plugins", "inspect", "xyzzy").errors


# -- doctor ---------------------------------------------------------------------------------------------


def findings(fairlead: Command) -> list[tuple[str, str]]:
    """What the doctor says of the plugins of the test, by plugin."""
    ran = fairlead("plugins", "doctor", "--json")
    said = parsed(ran.output)
    assert ran.status == (1 if said["findings"] else 0)
    return [(each["plugin"], each["problem"]) for each in said["findings"]]


@pytest.fixture
def allowed(fairlead: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("FAIRLEAD_PLUGINS", "it")
    return fairlead


def test_doctor_says_that_all_is_well_with_counts(allowed: Command, site: Site) -> None:
    site.install("it")
    ran = allowed("plugins", "doctor")
    assert ran.status == 0
    assert ran.output.startswith("All is well: 1 plugin checked (runtime 1, storage 0, explainer 0, autoscaler 0)")
    assert "not allowed by FAIRLEAD_PLUGINS" in ran.output


def test_doctor_shows_the_traceback_of_a_broken_plugin_from_the_plugin_on(allowed: Command, site: Site) -> None:
    site.install("it", plugin="def fail():\n    raise RuntimeError('cannot')\n\nfail()\n")
    ran = allowed("plugins", "doctor")
    assert ran.status == 1
    assert "    |     raise RuntimeError('cannot')" in ran.output
    assert "importlib" not in ran.output
    assert "1 finding in 1 plugin" in ran.output


def test_doctor_imports_the_factory(allowed: Command, site: Site) -> None:
    site.install("it", work="import no_such_library")
    assert "No module named 'no_such_library'" in findings(allowed)[0][1]


def test_doctor_reports_a_listed_plugin_that_is_not_installed(
    fairlead: Command, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("it")
    monkeypatch.setenv("FAIRLEAD_PLUGINS", "it,absent")
    assert findings(fairlead) == [("FAIRLEAD_PLUGINS", "It names absent, and no such plugin is installed.")]


def test_doctor_reports_blocked_plugins_only_when_strict(
    allowed: Command, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("it")
    site.install("other")
    assert findings(allowed) == []
    monkeypatch.setenv("FAIRLEAD_PLUGINS_STRICT", "1")
    assert (
        "runtime:other",
        "The runtime plugin 'other' of fairlead-runtime-other 1.2.3 is installed, but not allowed.",
    ) in (findings(allowed))


def test_doctor_reports_metadata_that_cannot_be_read(allowed: Command, site: Site) -> None:
    site.install("it")
    site.install("damaged", entry_points="[fairlead.runtimes]\nno equals sign\n")
    ((about, problem),) = findings(allowed)
    assert about == "installation"
    assert "fairlead-runtime-damaged" in problem


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("formats=formats", "formats=()"), "It serves no model format: formats is empty."),
        (("formats=formats", "formats=formats * 2"), "It declares the model format it 2 times."),
        (('("*.x",)', "()"), "It loads no file: artifacts is empty."),
        (('("*.x",)', '("a/b.x",)'), "Its artifact pattern 'a/b.x' can match nothing"),
        (('("*.x",)', '("*.x",), protocols=("v3",)'), "Its protocol 'v3' is not one of v1, v2, grpc-v2."),
        (('("*.x",)', '("*.x",), protocols=()'), "protocols is empty"),
        (('("*.x",)', '("*.x",), libraries=(Library("no-such", "x"),)'), "Its library no-such is not installed."),
        (('("*.x",)', '("*.x",), settings=(Setting("a", 1, "", (2,)),)'), "has the default 1, which is not one of"),
        (('("*.x",)', '("*.x",), settings=(Setting("a", 1, "", (1, "2")),)'), "the choice '2', which is not of the"),
        (('("*.x",)', '("*.x",), settings=(Setting("a", 1, "", (), ("a b",)),)'), "has the flag 'a b'"),
        (('("*.x",)', '("*.x",), settings=(Setting("a", 1, "", (), (), ("A-B",)),)'), "variable 'A-B', which is"),
        (('("*.x",)', '("*.x",), settings=(Setting("a", 1, "", (), (), ("A=b",)),)'), "cannot be set by A=b"),
        (('("*.x",)', '("*.x",), settings=(Setting("a", 1, ""),) * 2'), "It declares the setting a 2 times."),
    ],
)
def test_doctor_checks_what_a_runtime_says_of_itself(
    allowed: Command, site: Site, change: tuple[str, str], expected: str
) -> None:
    plugin = RUNTIME.replace("import ModelFormat", "import Library, ModelFormat, Setting").replace(*change)
    assert plugin != RUNTIME
    site.install("it", plugin=plugin)
    ((about, problem),) = findings(allowed)
    assert about == "runtime:it"
    assert expected in problem


STORAGE = """
from fairlead import StorageSpec, hookimpl

@hookimpl
def fairlead_storage_providers():
    return [StorageSpec(name={name!r}, prefixes=("it://",), factory="{package}.work:Work")]
"""

STORAGE_WORK = """
from fairlead import StorageProvider

class Work(StorageProvider):
    def list(self, uri):
        return []
    def open_range(self, item, start=0):
        yield b""
"""


@pytest.mark.parametrize(
    ("prefixes", "expected"),
    [
        ("()", "It takes no URI"),
        ('("",)', "an empty prefix"),
        ('(), patterns=("(",)', "Its pattern '(' is not a regular expression"),
    ],
)
def test_doctor_checks_what_a_storage_provider_says_of_itself(
    allowed: Command, site: Site, prefixes: str, expected: str
) -> None:
    plugin = STORAGE.replace('("it://",)', prefixes)
    site.install("it", plugin=plugin, work=STORAGE_WORK, group="fairlead.storage")
    assert expected in findings(allowed)[0][1]


def test_doctor_reports_two_storage_providers_that_take_one_prefix(
    fairlead: Command, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_PLUGINS", "it,that")
    site.install("it", plugin=STORAGE, work=STORAGE_WORK, group="fairlead.storage")
    site.install("that", plugin=STORAGE, work=STORAGE_WORK, group="fairlead.storage")
    assert findings(fairlead) == [
        ("storage", "The storage providers it and that all take it://, and only one is asked.")
    ]


AUTOSCALER = """
from fairlead import AutoscalerMode, AutoscalerSpec, hookimpl

@hookimpl
def fairlead_autoscalers():
    return [AutoscalerSpec(name={name!r}, factory="{package}.work:Work", modes=frozenset(AutoscalerMode))]
"""

AUTOSCALER_WORK = """
from fairlead import Autoscaler, Decision

class Work(Autoscaler):
    def decide(self, spec, window, now):
        return Decision(replicas=1, reason="It is enough.")
"""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("", ""), "It delegates, and"),
        (("modes=frozenset(AutoscalerMode)", "modes=frozenset()"), "It neither decides nor delegates"),
        (("frozenset(AutoscalerMode)", "frozenset({AutoscalerMode.DECIDES}), metrics=()"), "metrics is empty"),
        (("", ""), "kinds is empty"),
    ],
)
def test_doctor_checks_what_a_strategy_says_of_itself(
    allowed: Command, site: Site, change: tuple[str, str], expected: str
) -> None:
    site.install("it", plugin=AUTOSCALER.replace(*change), work=AUTOSCALER_WORK, group="fairlead.autoscalers")
    assert any(expected in problem for _, problem in findings(allowed))


def test_doctor_checks_what_an_explainer_says_of_itself(allowed: Command, site: Site) -> None:
    work = "from fairlead import Explainer\nclass Work(Explainer):\n    load = explain = lambda *a: None\n"
    site.install("it", plugin=EXPLAINER.replace('("tabular",)', "()"), work=work, group="fairlead.explainers")
    assert findings(allowed) == [("explainer:it", "It explains no kind of model: explains is empty.")]
