"""The tables of the pages that repeat what the code says: made from the code, and checked by a test.

``python tests/e2e/tables.py`` writes them anew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from prometheus_client import Metric

from fairlead import errors
from fairlead.cli import serve
from fairlead.engine.engine import Engine
from fairlead.engine.metrics import Metrics
from fairlead.plugins import Plugins
from fairlead.rest import errors as failures
from fairlead.rest.app import Application
from fairlead.settings import ServerSettings
from fairlead.storage.fetcher import Fetcher
from fairlead_operator import cli as operator_cli
from fairlead_operator import metrics as operator_metrics
from fairlead_operator.configuration import fields as configuration

__all__ = ["PAGES", "rewritten"]

_ROOT: Final = Path(__file__).resolve().parents[2]
_DOCS: Final = _ROOT / "docs"

_POD: Final = "KUBERNETES_SERVICE_HOST"
_OPTIONS: Final = """
import json
from fairlead.settings import options
print(json.dumps([
    {"flag": each.flags[0], "default": str(getattr(each.default, "mode", each.default)), "help": each.help,
     "type": type(each.default).__name__, "choices": each.choices, "variable": each.variable}
    for each in options()
]))
"""


def rewritten(page: Path) -> str:
    """The text of a page with its tables made anew."""
    text = page.read_text(encoding="utf-8")
    for name, made in PAGES[page].items():
        marks = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)
        table = "".join(f"{line}\n" for line in made())
        text, count = marks.subn(lambda found, table=table: f"{found[1]}{table}{found[2]}", text)  # type: ignore[misc]  # a bound default
        if count != 1:
            raise ValueError(f"the page has {count} tables {name}")
    return text


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(header), _row(["---"] * len(header)).replace(" ", ""), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


# -- settings -------------------------------------------------------------------------------------------


def _settings() -> list[str]:
    rows = []
    for here, pod in zip(_options({}), _options({_POD: "10.0.0.1"}), strict=True):
        default = _shown(here)
        if pod["default"] != here["default"]:
            default += f"; in a pod {_shown(pod)}"
        meaning = here["help"].replace("<", "\\<")
        if here["choices"]:
            meaning += f": {', '.join(here['choices'])}"
        rows.append((f"`{here['flag']}`", f"`{here['variable']}`", default, meaning))
    return _table(("flag", "variable", "default", "meaning"), rows)


def _options(variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every setting, with the defaults of a process that has these variables: some depend on where it runs."""
    environ = {name: value for name, value in os.environ.items() if name != _POD}
    command = [sys.executable, "-c", _OPTIONS]
    done = subprocess.run(command, env={**environ, **variables}, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _shown(option: Mapping[str, Any]) -> str:
    default: str = option["default"]
    if option["type"] == "float":
        return f"`{float(default):g}`"
    return f"`{default.lower() if option['type'] == 'bool' else default}`" if default else "none"


def _without_effect() -> list[str]:
    return _table(("flag", "why"), ((f"`--{name}`", reason) for name, reason in serve._WITHOUT_EFFECT.items()))


def _refused() -> list[str]:
    return _table(("flag", "what to do"), ((f"`--{name}`", remedy) for name, remedy in serve._REFUSED.items()))


# -- the server -----------------------------------------------------------------------------------------


def _routes() -> list[str]:
    plugins = Plugins.discover(allow="", strict=False)
    document = Application(Engine(plugins, Fetcher(plugins).fetch, ServerSettings())).openapi()
    rows = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            said = operation.get("description") or operation["summary"]
            rows.append((f"`{method.upper()} {path}`", said.splitlines()[0].removesuffix(".")))
    rows.append(("`GET /openapi.json`", "The OpenAPI document"))
    rows.append(("`GET /docs`", "The same in a browser, with `--enable-docs-url true`"))
    return _table(("route", "what it answers"), rows)


def _errors() -> list[str]:
    rows = []
    for name in errors.__all__:
        kind: type[errors.FairleadError] = getattr(errors, name)
        if issubclass(kind, errors.RequestError) and kind is not errors.RequestError:
            status = next(failures._STATUS[each] for each in kind.__mro__ if each in failures._STATUS)
            assert kind.__doc__ is not None
            rows.append((str(status), f"`{name}`", kind.__doc__.splitlines()[0].removesuffix(".")))
    rows.append(("500", "any other exception", "A fault of the model or of the server"))
    return _table(("status", "class", "meaning"), sorted(rows))


def _metrics() -> list[str]:
    found = Metrics().registry.collect()
    return _described(family for family in found if family.name.startswith(("request_", "fairlead_")))


def _described(families: Iterable[Metric]) -> list[str]:
    rows = []
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        rows.append((f"`{name}`", family.type, family.documentation))
    return _table(("metric", "type", "meaning"), rows)


# -- the operator ---------------------------------------------------------------------------------------


def _configuration() -> list[str]:
    rows = []
    for field in configuration.FIELDS:
        if field.effect:
            default = "none" if field.default is None else f"`{json.dumps(field.default, ensure_ascii=False)}`"
            rows.append((f"`{field.path}`", field.kind.wanted, default, field.meaning))
    return _table(("field", "what it may be", "default", "meaning"), rows)


def _configuration_without_effect() -> list[str]:
    rows: dict[tuple[str, str], list[str]] = {}
    for field in configuration.FIELDS:
        if not field.effect:
            rows.setdefault((field.key, field.meaning), []).append(f"`{field.name}`")
    return _table(("key", "fields", "why"), ((f"`{key}`", ", ".join(names), why) for (key, why), names in rows.items()))


def _operator_metrics() -> list[str]:
    collectors = (getattr(operator_metrics, name) for name in operator_metrics.__all__)
    return _described(family for each in collectors for family in each.collect())


def _operator_flags() -> list[str]:
    parser = argparse.ArgumentParser(add_help=False)
    operator_cli._run_arguments(parser)
    rows = []
    for action in parser._actions:
        flags = ", ".join(f"`{flag}`" for flag in action.option_strings)
        chosen = f": {', '.join(action.choices)}" if action.choices else ""
        rows.append((flags, f"{action.help}{chosen}"))
    return _table(("flag", "meaning"), rows)


PAGES: Final[Mapping[Path, Mapping[str, Callable[[], list[str]]]]] = {
    _DOCS / "serving.md": {
        "routes": _routes,
        "errors": _errors,
        "settings": _settings,
        "flags-without-effect": _without_effect,
        "flags-refused": _refused,
    },
    _DOCS / "observability.md": {"metrics": _metrics},
    _DOCS / "operator-configuration.md": {
        "fields": _configuration,
        "fields-without-effect": _configuration_without_effect,
    },
    _DOCS / "operator.md": {"operator-metrics": _operator_metrics},
    _ROOT / "operator" / "README.md": {"operator-flags": _operator_flags},
}


def main() -> None:
    """Write the tables of the pages anew."""
    for page in PAGES:
        page.write_text(rewritten(page), encoding="utf-8")


if __name__ == "__main__":
    main()
