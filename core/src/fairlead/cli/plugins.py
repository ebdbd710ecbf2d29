"""``fairlead plugins``: what is installed, what one provides, what is wrong, and how to start a new one."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.plugins import (
    ALLOW_LIST_VARIABLE,
    STRICT_VARIABLE,
    Kind,
    PluginInfo,
    Plugins,
    PluginState,
    strict_from_environment,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["add_arguments", "run"]

_EPILOG: Final = f"""\
{ALLOW_LIST_VARIABLE} is an allow-list of names, separated by commas: sklearn, runtime:sklearn, or
sklearn@fairlead-runtime-sklearn; empty allows none. {STRICT_VARIABLE}=1 makes a server refuse to start
when a plugin cannot be used.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs and their arguments."""
    parser.epilog = _EPILOG
    verbs = parser.add_subparsers(dest="verb", metavar="<verb>", required=True, title="verbs")

    listing = verbs.add_parser("list", help="show the installed plugins and whether they can be used")
    listing.add_argument("--kind", choices=[str(kind) for kind in Kind], help="only plugins of this kind")
    listing.add_argument("--no-import", action="store_true", help="read metadata only; broken plugins look available")
    listing.add_argument("--json", action="store_true", help="print JSON")

    inspecting = verbs.add_parser("inspect", help="show everything that a plugin says of itself")
    inspecting.add_argument("name", help="its name, or kind:name where several kinds have the name")
    inspecting.add_argument("--json", action="store_true", help="print JSON")

    doctor = verbs.add_parser("doctor", help="import every plugin, and say what is wrong")
    doctor.add_argument("--json", action="store_true", help="print JSON")

    new = verbs.add_parser("new", help="write a plugin package to start from")
    new.add_argument("kind", choices=[str(kind) for kind in Kind], help="what it provides")
    new.add_argument("name", help="its name, as users will write it: lower case letters, digits and hyphens")
    new.add_argument("--directory", type=Path, default=Path(), help="where to make its folder (default: here)")


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    match args.verb:
        case "list":
            return _list(kind=Kind(args.kind) if args.kind else None, load=not args.no_import, as_json=args.json)
        case "inspect":
            return _inspect(args.name, as_json=args.json)
        case "doctor":
            return _doctor(as_json=args.json)
        case _:
            return _new(Kind(args.kind), args.name, args.directory)


def _discovered() -> Plugins:
    # Strictness would end the very commands that explain what is wrong; `serve` honours it.
    return Plugins.discover(strict=False)


# -- list -----------------------------------------------------------------------------------------------


def _list(*, kind: Kind | None, load: bool, as_json: bool) -> int:
    plugins = _discovered()
    if load:
        for each in (kind,) if kind else Kind:
            _load(plugins, each)
    infos = plugins.infos(kind)
    if as_json:
        _print_json(
            {
                "plugins": [_as_json(info) for info in infos],
                "allowed": plugins.allowed,
                "missing": plugins.missing,
                "unreadable": [error.reason for error in plugins.unreadable],
            }
        )
        return 0
    rows = [(info.kind, info.name, info.version, info.distribution, info.state) for info in infos]
    if rows:
        _print_table(("KIND", "NAME", "VERSION", "DISTRIBUTION", "STATE"), rows)
    else:
        print("No plugins are installed.")
    # Blocked is what the allow-list asks for, so it needs no reason; a duplicate's is the same for each claimant.
    reasons = [info.error for info in infos if info.error and info.state is not PluginState.BLOCKED]
    for reason in dict.fromkeys(map(str, [*reasons, *plugins.unreadable])):
        print(f"\n{reason}")
    _print_footer(plugins)
    return 0


def _load(plugins: Plugins, kind: Kind) -> None:
    """Import the plugins of a kind; those that cannot be used remember why."""
    {
        Kind.RUNTIME: plugins.runtimes,
        Kind.STORAGE: plugins.storage_providers,
        Kind.EXPLAINER: plugins.explainers,
        Kind.AUTOSCALER: plugins.autoscalers,
    }[kind]()


def _print_footer(plugins: Plugins) -> None:
    print()
    if plugins.allowed is not None:
        print(f"{ALLOW_LIST_VARIABLE} allows {', '.join(plugins.allowed) or 'no plugin'}.")
    if plugins.missing:
        print(f"{', '.join(plugins.missing)}: on the list, and not installed.")
    if strict_from_environment():
        print(f"{STRICT_VARIABLE} is set: a server starts only when each plugin can be used.")
    print("Run `fairlead plugins doctor` to import and check them all.")


# -- inspect --------------------------------------------------------------------------------------------


def _inspect(name: str, *, as_json: bool) -> int:
    from fairlead.cli import inspection

    plugins = _discovered()
    info = _named(plugins, name)
    try:
        specs = plugins.specs(info.kind, info.name)
    except errors.PluginError:
        info = plugins.info(info.kind, info.name)  # now with the reason
        specs = ()
    if as_json:
        _print_json({**_as_json(info), "spec": inspection.as_json(specs[0]) if specs else None})
    else:
        print(f"{info.kind} {info.name}, of {info.distribution} {info.version} ({info.module})")
        for spec in specs:
            print("\n" + "\n".join(inspection.lines(spec)))
    if info.error is not None:
        raise info.error
    return 0


def _named(plugins: Plugins, name: str) -> PluginInfo:
    """The plugin that a name or ``kind:name`` means."""
    prefix, colon, rest = name.partition(":")
    if colon:
        try:
            return plugins.info(Kind(prefix), rest)
        except ValueError:
            kinds = ", ".join(Kind)
            raise errors.ConfigurationError(f"{prefix!r} is no kind of plugin; there are {kinds}.") from None
    ids = sorted({info.id for info in plugins.infos() if info.name == name})
    if not ids:
        near = difflib.get_close_matches(name, sorted({info.name for info in plugins.infos()}), n=1)
        convention = (
            "`fairlead plugins list` shows what is installed. "
            f"If a wheel provides it, it is named fairlead-<kind>-{name} by convention; install it beside fairlead."
        )
        raise errors.PluginNotInstalled(
            f"There is no plugin {name!r} of any kind.", remedy=f"Did you mean {near[0]}?" if near else convention
        )
    if len(ids) > 1:
        raise errors.ConfigurationError(f"Several plugins are named {name}.", remedy=f"Say {' or '.join(ids)}.")
    return plugins.info(Kind(ids[0].partition(":")[0]), name)


# -- doctor ---------------------------------------------------------------------------------------------


def _doctor(*, as_json: bool) -> int:
    from fairlead.cli import doctor

    plugins = _discovered()
    findings = doctor.examine(plugins)
    infos = plugins.infos()
    blocked = sum(info.state is PluginState.BLOCKED for info in infos)
    checked = len(infos) - blocked
    if as_json:
        _print_json({"checked": checked, "blocked": blocked, "findings": [vars(each) for each in findings]})
        return 1 if findings else 0
    for finding in findings:
        print(f"{finding.plugin}: {finding.problem}")
        if finding.remedy:
            print(f"    {finding.remedy}")
        for line in finding.traceback.splitlines():
            print(f"    | {line}")
    aside = f" ({blocked} not allowed by {ALLOW_LIST_VARIABLE})" if blocked else ""
    if findings:
        print(f"\n{_count(len(findings), 'finding')} in {_count(checked, 'plugin')}{aside}.")
        return 1
    kinds = ", ".join(
        f"{kind} {sum(info.kind is kind and info.state is not PluginState.BLOCKED for info in infos)}" for kind in Kind
    )
    print(f"All is well: {_count(checked, 'plugin')} checked ({kinds}){aside}.")
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# -- new ------------------------------------------------------------------------------------------------


def _new(kind: Kind, name: str, directory: Path) -> int:
    from fairlead.cli import scaffold

    taken = [info for info in _discovered().infos(kind) if info.name == name]
    if taken:
        raise errors.ConfigurationError(
            f"There is a {kind} plugin {name!r} already, of {taken[0].distribution} {taken[0].version}.",
            remedy="Choose another name: two distributions that claim one name cannot both be used.",
        )
    made = scaffold.write(kind, name, directory)
    print(f"Wrote {made}. Next:\n")
    print(f"  cd {made}\n  pip install --editable '.[test]'\n  pytest\n  fairlead plugins inspect {kind}:{name}")
    return 0


# -- output ---------------------------------------------------------------------------------------------


def _as_json(info: PluginInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "kind": info.kind,
        "name": info.name,
        "version": info.version,
        "distribution": info.distribution,
        "module": info.module,
        "state": info.state,
        "error": info.error and {"reason": info.error.reason, "remedy": info.error.remedy},
    }


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if sys.stdout.isatty():
        _print_rich_table(header, rows)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_rich_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box, console, table, text

    view = table.Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in header:
        view.add_column(title.capitalize(), overflow="fold")
    colors = {PluginState.AVAILABLE: "green", PluginState.BLOCKED: "yellow"}
    for *cells, state in rows:
        view.add_row(*map(text.Text, cells), text.Text(state, colors.get(PluginState(state), "red")))
    console.Console().print(view)
