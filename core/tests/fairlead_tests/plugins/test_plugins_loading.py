"""Loading plugins: whatever one does wrong is its own, is explained, and leaves the others alone."""

from __future__ import annotations

import gc
import warnings

import pytest

from fairlead import Runtime, errors
from fairlead.plugins import Kind, Plugins, PluginState
from fairlead_tests.plugins.distributions import EXPLAINER, RUNTIME, WORK, Site

HOOK = "from fairlead import ModelFormat, RuntimeSpec, hookimpl\n\n@hookimpl\ndef fairlead_runtimes():\n"


def failure(site: Site, plugin: str | None, work: str = WORK) -> errors.PluginBroken:
    """How the plugin ``bad`` fails, once it is shown that ``good`` beside it does not."""
    site.install("bad", plugin=plugin, work=work)
    site.install("good")
    plugins = Plugins.discover()
    assert "good" in plugins.runtimes()
    assert "bad" not in plugins.runtimes()
    assert plugins.info(Kind.RUNTIME, "bad").state is PluginState.BROKEN
    with pytest.raises(errors.PluginBroken) as caught:
        plugins.specs(Kind.RUNTIME, "bad")
    assert "runtime plugin 'bad' of fairlead-runtime-bad 1.2.3" in caught.value.reason
    return caught.value


def test_a_good_plugin_gives_its_spec_and_its_factory(site: Site) -> None:
    site.install("good")
    plugins = Plugins.discover()
    (spec,) = plugins.specs(Kind.RUNTIME, "good")
    assert spec is plugins.runtimes()["good"]
    assert issubclass(plugins.factory(Kind.RUNTIME, spec), Runtime)  # type: ignore[arg-type]  # it is a class here


# -- the module -----------------------------------------------------------------------------------------


def test_an_import_error_names_the_file_and_the_line(site: Site) -> None:
    error = failure(site, "from json import no_such_name")
    assert "raises ImportError: cannot import name 'no_such_name'" in error.reason
    assert "_plugin.py, line 1)" in error.reason
    assert isinstance(error.__cause__, ImportError)


def test_a_missing_dependency_says_what_to_install(site: Site) -> None:
    error = failure(site, "\nimport no_such_library.part")
    assert "raises ModuleNotFoundError: No module named 'no_such_library'" in error.reason
    assert "_plugin.py, line 2)" in error.reason
    assert error.remedy == (
        "It needs the module no_such_library, which is not installed. Install what provides no_such_library."
    )


def test_a_package_that_is_missing_is_broken(site: Site) -> None:
    error = failure(site, None)
    assert "raises ModuleNotFoundError" in error.reason
    assert error.remedy == "`fairlead plugins doctor` shows the whole traceback."


def test_a_syntax_error_names_the_file_and_the_line(site: Site) -> None:
    error = failure(site, "\n\nthis is no python\n")
    assert "raises SyntaxError" in error.reason
    assert "_plugin.py, line 3)" in error.reason


def test_a_plugin_that_exits_at_import_does_not_end_the_process(site: Site) -> None:
    assert "raises SystemExit: 3" in failure(site, "import sys\nsys.exit(3)").reason


def test_an_exception_that_has_no_text_is_explained_all_the_same(site: Site) -> None:
    mute = "class Mute(Exception):\n    def __str__(self): raise ValueError\n\nraise Mute\n"
    assert "raises Mute: of which no text can be made" in failure(site, mute).reason


def test_an_error_of_ours_that_a_plugin_raises_is_still_its_fault(site: Site) -> None:
    error = failure(site, "from fairlead import errors\nraise errors.PluginNotInstalled('nothing here')")
    assert "raises PluginNotInstalled: nothing here" in error.reason


# -- the hook -------------------------------------------------------------------------------------------


def test_a_hook_that_raises_names_the_file_and_the_line(site: Site) -> None:
    error = failure(site, HOOK + "    raise RuntimeError('cannot')\n")
    assert "its hook fairlead_runtimes raises RuntimeError: cannot" in error.reason
    assert "_plugin.py, line 5)" in error.reason


def test_a_generator_hook_that_raises_is_broken_too(site: Site) -> None:
    assert "raises ZeroDivisionError" in failure(site, HOOK + "    yield 1 / 0\n").reason


@pytest.mark.parametrize("body", ["    return []\n", "    return None\n", "    pass\n"])
def test_a_hook_that_returns_nothing_is_broken(site: Site, body: str) -> None:
    error = failure(site, HOOK + body)
    assert error.reason.endswith("describes nothing of that name.")
    assert error.remedy is not None
    assert "returns a list with one RuntimeSpec named 'bad'" in error.remedy


def test_a_module_without_the_hook_is_broken(site: Site) -> None:
    assert failure(site, "x = 1\n").reason.endswith("describes nothing of that name.")


def test_a_hook_of_another_kind_does_not_count(site: Site) -> None:
    assert failure(site, EXPLAINER).reason.endswith("describes nothing of that name.")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("7", "returns int 7, and not a list of specs"),
        ("'bad'", "returns str 'bad', and not a list of specs"),
        ("[{'name': 'bad'}]", "returns dict {'name': 'bad'} where a RuntimeSpec belongs"),
        ("[RuntimeSpec]", "where a RuntimeSpec belongs"),
        ("RuntimeSpec(name='bad', formats=(), factory='x:y', artifacts=())", "and not a list of specs"),
        ("__import__('itertools').count()", "returns more than 1000 specs"),
        ("[type('Mute', (), {'__repr__': lambda self: 1 / 0})()]", "of which no text can be made"),
    ],
)
def test_a_hook_that_returns_something_else_is_broken(site: Site, result: str, expected: str) -> None:
    assert expected in failure(site, HOOK + f"    return {result}\n").reason


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("name=[]", "the name of its RuntimeSpec is list [], and not str"),
        ("artifacts='*.bst'", "the artifacts of its RuntimeSpec is str '*.bst', and not tuple[str, ...]"),
        ("artifacts=(None,)", "the artifacts of its RuntimeSpec is tuple (None,), and not tuple[str, ...]"),
        ("formats=None", "and not tuple[runtime.ModelFormat, ...]"),
        ("capabilities={'batching'}", "and not frozenset[runtime.Capability]"),
        ("image=7", "the image of its RuntimeSpec is int 7, and not str | None"),
    ],
)
def test_a_field_of_another_type_is_broken_and_harms_no_other_plugin(site: Site, field: str, expected: str) -> None:
    fields = {"name": "'bad'", "formats": "()", "factory": "'x:y'", "artifacts": "()"}
    fields |= dict([field.split("=", 1)])
    given = ", ".join(f"{name}={value}" for name, value in fields.items())
    assert expected in failure(site, HOOK + f"    return [RuntimeSpec({given})]\n").reason


def test_a_list_does_where_a_tuple_belongs(site: Site) -> None:
    site.install("good", plugin=RUNTIME.replace("(ModelFormat({name!r}),)", "[ModelFormat({name!r})]"))
    assert isinstance(Plugins.discover().runtimes()["good"].formats, list)


def test_a_spec_with_another_name_is_broken(site: Site) -> None:
    error = failure(site, RUNTIME.replace("name={name!r}", "name='other'"))
    assert "describes 'other', and no entry point of the module has that name" in error.reason


def test_a_plugin_that_describes_itself_twice_is_broken(site: Site) -> None:
    error = failure(site, RUNTIME + "\nfirst = fairlead_runtimes()\n" + HOOK + "    return first * 2\n")
    assert "describes it 2 times" in error.reason


def test_an_asynchronous_hook_is_refused_before_it_is_called(site: Site) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error = failure(site, HOOK.replace("def ", "async def ") + "    return []\n")
        gc.collect()
    assert "its hook fairlead_runtimes is asynchronous" in error.reason
    assert error.remedy == "Hooks are plain functions: write def, not async def."


def test_a_hook_that_returns_a_coroutine_leaves_none_behind(site: Site) -> None:
    plugin = HOOK + "    async def later():\n        return []\n    return later()\n"
    assert "returns coroutine" in failure(site, plugin).reason
    gc.collect()


def test_a_hook_that_nobody_specified_is_refused_and_harms_no_other_plugin(site: Site) -> None:
    error = failure(site, RUNTIME + "\n@hookimpl\ndef fairlead_no_such_hook():\n    return []\n")
    assert "fairlead_no_such_hook" in error.reason


def test_a_hook_with_an_argument_that_nobody_passes_is_refused(site: Site) -> None:
    error = failure(site, RUNTIME.replace("fairlead_runtimes()", "fairlead_runtimes(config)"))
    assert "raises PluginValidationError" in error.reason


def test_one_module_may_serve_several_names(site: Site) -> None:
    spec = "RuntimeSpec(name={0!r}, formats=(ModelFormat({0!r}),), factory='x:y', artifacts=('*.x',))"
    site.install(
        "both",
        plugin=HOOK + f"    return [{spec.format('left')}, {spec.format('right')}]\n",
        entry_points="[fairlead.runtimes]\nleft = {package}._plugin\nright = {package}._plugin\n",
    )
    runtimes = Plugins.discover().runtimes()
    assert runtimes["left"].name == "left"
    assert runtimes["right"].name == "right"


def test_one_module_may_serve_several_kinds(site: Site) -> None:
    site.install(
        "both",
        plugin=RUNTIME + EXPLAINER,
        entry_points="[fairlead.runtimes]\nboth = {package}._plugin\n[fairlead.explainers]\nboth = {package}._plugin\n",
    )
    plugins = Plugins.discover()
    assert "both" in plugins.runtimes()
    assert "both" in plugins.explainers()


def test_a_broken_plugin_is_imported_once_and_raises_each_time_it_is_asked_for(site: Site) -> None:
    site.install("bad", plugin="raise RuntimeError('no')")
    plugins = Plugins.discover()
    depths = []
    for _ in range(3):
        with pytest.raises(errors.PluginBroken) as caught:
            plugins.specs(Kind.RUNTIME, "bad")
        depths.append(len(caught.traceback))
    assert depths[1] == depths[2] <= depths[0]


# -- the factory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "factory", "expected"),
    [
        (WORK, "no_such_module:Work", "raises ModuleNotFoundError: No module named 'no_such_module'"),
        (WORK, "{package}.work:Absent", "raises AttributeError"),
        (WORK, "{package}.work", "is not of the form module:Class"),
        ("class Work: pass", "{package}.work:Work", "which is not a Runtime"),
        ("Work = 7", "{package}.work:Work", "which is not a Runtime"),
        ("from fairlead import Runtime\nclass Work(Runtime): pass", "{package}.work:Work", "does not define load"),
        ("import sys\nsys.exit()", "{package}.work:Work", "raises SystemExit"),
    ],
)
def test_a_factory_that_is_missing_or_of_another_class_is_broken(
    site: Site, work: str, factory: str, expected: str
) -> None:
    site.install("bad", plugin=RUNTIME.replace("{package}.work:Work", factory), work=work)
    plugins = Plugins.discover()
    (spec,) = plugins.specs(Kind.RUNTIME, "bad")
    with pytest.raises(errors.PluginBroken, match="runtime plugin 'bad' of fairlead-runtime-bad") as caught:
        plugins.factory(Kind.RUNTIME, spec)
    assert expected in caught.value.reason
