"""From a file or a folder to a model: which class, whose code, and what is said when it does not load."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead.contracts.runtime import Artifact, LoadSettings
from fairlead.custom.runtime import PythonRuntime
from fairlead.plugins import Kind, Plugins
from fairlead_tests.custom.asking import ask, tensors

if TYPE_CHECKING:
    from fairlead_tests.custom.conftest import Load, Write

SAYS = """
class {name}(CustomModel):
    def predict(self, x: np.ndarray) -> str:
        return {value}
"""


def said(load: Load, path: Path, **options: str) -> object:
    return ask(load(path, **options), inputs=tensors(x=[1])).payload


def model_modules() -> set[str]:
    """The modules of models that are loaded, those that other tests left hanging among them."""
    return {name for name in sys.modules if name.startswith("fairlead_model")}


def test_the_plugin_is_found_by_its_entry_point_and_makes_the_runtime() -> None:
    plugins = Plugins.discover()
    spec = plugins.runtimes()["python"]
    assert plugins.factory(Kind.RUNTIME, spec) is PythonRuntime
    assert spec.unpickles
    assert spec.artifacts == ("*.py",)


def test_describing_the_plugin_loads_neither_numpy_nor_pandas() -> None:
    code = "import sys, fairlead.custom._plugin; sys.exit(bool({'numpy', 'pandas', 'orjson'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_model_that_names_no_dataframe_does_not_load_pandas(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from fairlead import Artifact, LoadSettings\n"
        "from fairlead.custom.runtime import PythonRuntime\n"
        f"path = Path({str(doubler())!r})\n"
        "PythonRuntime().load(Artifact(path=path, uri='x'), LoadSettings(model_name='m'))\n"
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path).returncode == 0


def doubler() -> Path:
    return Path(__file__).parents[4] / "examples" / "custom_model" / "doubler.py"


def test_load_finds_the_name_the_folder_and_the_options(write: Write, load: Load, tmp_path: Path) -> None:
    (tmp_path / "weights.txt").write_text("42")
    path = write("""
    class M(CustomModel):
        def load(self) -> None:
            self.weights = int((self.artifact / "weights.txt").read_text())
        def predict(self, x: np.ndarray) -> list[Any]:
            return [self.name, self.weights, dict(self.options)]
    """)
    expected = ["m", 42, {"threshold": 0.5, "extra": "1"}]
    assert said(load, path, options='{"threshold": 0.5}', extra="1") == expected
    assert said(load, tmp_path, options='{"threshold": 0.5}', extra="1") == expected


@pytest.mark.parametrize(("options", "reason"), [("{", "is not JSON"), ("[1]", "is not a JSON object")])
def test_options_that_are_no_json_object_are_a_configuration_error(
    write: Write, load: Load, options: str, reason: str
) -> None:
    with pytest.raises(errors.ConfigurationError, match=reason):
        load(write(SAYS.format(name="M", value="''")), options=options)


def test_in_a_folder_of_several_files_model_py_is_the_model(write: Write, load: Load, tmp_path: Path) -> None:
    write(SAYS.format(name="Other", value="'other'"), "other.py")
    with pytest.raises(errors.ArtifactAmbiguous, match=r"another\.py, other\.py"):
        load(write(SAYS.format(name="Other", value="'other'"), "another.py").parent)
    write(SAYS.format(name="M", value="'model'"))
    assert said(load, tmp_path) == "model"


def test_a_folder_without_python_files_names_what_it_holds(load: Load, tmp_path: Path) -> None:
    (tmp_path / "model.joblib").touch()
    with pytest.raises(errors.ArtifactMissing, match=r"\(\*\.py\).*model.joblib"):
        load(tmp_path)


def test_of_several_classes_the_option_chooses(write: Write, load: Load) -> None:
    path = write(SAYS.format(name="A", value="'a'") + SAYS.format(name="B", value="'b'"))
    with pytest.raises(errors.ModelLoadError, match=r"several CustomModel subclasses: A, B\. .*--set class=A"):
        load(path)
    assert said(load, path, **{"class": "B"}) == "b"
    with pytest.raises(errors.ModelLoadError, match=r"no CustomModel subclass 'C' \(it has: A, B\)"):
        load(path, **{"class": "C"})


def test_a_base_class_without_predict_does_not_count(write: Write, load: Load) -> None:
    path = write("""
    class Base(CustomModel):
        def preprocess(self, x: np.ndarray): return x.tolist()
    class M(Base):
        def predict(self, x): return {"got": x}
    """)
    assert said(load, path) == {"got": [1]}


def test_a_file_without_a_model_says_what_to_define(write: Write, load: Load) -> None:
    with pytest.raises(errors.ModelLoadError, match=r"defines no subclass of fairlead.CustomModel\. Define one"):
        load(write("x = 1"))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os\nraise RuntimeError('no licence')", r"RuntimeError: no licence \({path}:9\)"),
        ("import os\nos._nothing", r"AttributeError: .*\({path}:9\)"),
        ("raise SystemExit(3)", r"SystemExit: 3 \({path}:8\)"),
        ("def f(:\n  pass", r"SyntaxError: .* \({path}:8\)"),
        ("import nothing_of_this_name", r"ModuleNotFoundError: .*Install what provides nothing_of_this_name"),
    ],
)
def test_a_file_that_raises_is_named_with_the_line_and_the_exception(
    write: Write, load: Load, source: str, reason: str
) -> None:
    path = write(source, "my-model.py")
    before = model_modules()
    with pytest.raises(errors.ModelLoadError, match=reason.replace("{path}", re.escape(str(path)))) as caught:
        load(path)
    assert "my-model.py cannot be imported" in str(caught.value)
    assert model_modules() == before


@pytest.mark.parametrize("hook", ["def __init__(self)", "def load(self)", "async def load(self)"])
def test_a_model_that_raises_while_it_loads_is_named_with_the_line(write: Write, load: Load, hook: str) -> None:
    path = write(f"""
    class M(CustomModel):
        {hook}: raise OSError("no weights")
        def predict(self, x): return x
    """)
    with pytest.raises(errors.ModelLoadError, match=rf"OSError: no weights \({re.escape(str(path))}:10\)"):
        load(path)


def test_the_policy_decides_before_any_code_runs(write: Write, load: Load, tmp_path: Path) -> None:
    path = write(f"open({str(tmp_path / 'ran')!r}, 'w').close()" + SAYS.format(name="M", value="'ran'"))
    for policy in ("deny", "sha256:" + "0" * 64):
        with pytest.raises(errors.UnpicklingRefused, match=r"model\.py can run code"):
            load(path, policy=policy)
    assert not (tmp_path / "ran").exists()
    assert said_under(load, path, f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}") == "ran"


def said_under(load: Load, path: Path, policy: str) -> object:
    return ask(load(path, policy=policy), inputs=tensors(x=[1])).payload


def test_the_policy_holds_for_siblings_as_well(write: Write, load: Load) -> None:
    write("VALUE = 1", "helpers.py")
    path = write("import helpers" + SAYS.format(name="M", value="'ran'"))
    with pytest.raises(errors.UnpicklingRefused, match=r"helpers\.py can run code"):
        load(path, policy=f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")


def test_main_blocks_do_not_run_and_the_module_can_be_looked_up_by_name(write: Write, load: Load) -> None:
    path = write("""
    import dataclasses, pickle, typing
    @dataclasses.dataclass
    class Point:
        x: int
    class M(CustomModel):
        def predict(self, x: np.ndarray) -> str:
            assert typing.get_type_hints(Point) == {"x": int}
            return repr(pickle.loads(pickle.dumps(Point(1))))
    if __name__ == "__main__":
        raise SystemExit("the main block ran")
    """)
    assert said(load, path) == "Point(x=1)"


@pytest.mark.parametrize(
    "statement",
    [
        "from helpers import VALUE",
        "import helpers; VALUE = helpers.VALUE",
        "from .helpers import VALUE",
        "import package.inner; VALUE = package.inner.VALUE",
        "from package import inner; VALUE = inner.VALUE",
        "from package.inner import VALUE",
        "import package.inner as renamed; VALUE = renamed.VALUE",
    ],
)
def test_two_models_with_siblings_of_the_same_names_do_not_meet(
    write: Write, load: Load, tmp_path: Path, statement: str
) -> None:
    models = []
    for value in ("one", "two"):
        write(f"VALUE = {value!r}", f"{value}/helpers.py", header="")
        write("", f"{value}/package/__init__.py", header="")
        write("from helpers import VALUE", f"{value}/package/inner.py", header="")
        models.append(load(write(statement + SAYS.format(name="M", value="VALUE"), f"{value}/model.py").parent))
    assert [ask(model, inputs=tensors(x=[1])).payload for model in models] == ["one", "two"]
    assert not {"helpers", "package", "package.inner"} & set(sys.modules)
    assert str(tmp_path / "one") not in sys.path


def test_siblings_may_be_imported_while_predicting(write: Write, load: Load) -> None:
    write("VALUE = 'late'", "helpers.py")
    path = write("""
    class M(CustomModel):
        def predict(self, x: np.ndarray) -> str:
            from helpers import VALUE
            return VALUE
    """)
    assert said(load, path) == "late"


def test_a_sibling_never_shadows_what_is_installed(write: Write, load: Load, tmp_path: Path) -> None:
    write("raise AssertionError('shadowed')", "json.py")
    write("raise AssertionError('shadowed')", "httpx.py")
    path = write("import json, httpx" + SAYS.format(name="M", value="json.dumps(hasattr(httpx, 'Client'))"))
    assert said(load, path) == "true"


def test_a_sibling_is_found_when_the_folder_is_on_the_path_as_well(
    write: Write, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write("VALUE = 'own'", "helpers_on_the_path.py")
    path = write("from helpers_on_the_path import VALUE" + SAYS.format(name="M", value="VALUE"))
    assert said(load, path) == "own"
    assert "helpers_on_the_path" not in sys.modules


def test_a_reload_runs_the_new_code_while_the_old_model_still_answers(write: Write, load: Load) -> None:
    write("VALUE = 'old'", "helpers.py")
    source = "from helpers import VALUE" + SAYS.format(name="M", value="VALUE")
    old = load(write(source))
    write("VALUE = 'new'", "helpers.py")
    new = load(write(source))
    assert [ask(model, inputs=tensors(x=[1])).payload for model in (old, new)] == ["old", "new"]


def test_unloading_runs_the_hook_and_forgets_the_modules(write: Write, tmp_path: Path) -> None:
    path = write("""
    class M(CustomModel):
        def predict(self, x: np.ndarray): return x
        def unload(self) -> None: (self.artifact / "unloaded").touch()
    """)
    before = model_modules()
    model = PythonRuntime().load(Artifact(path=path, uri="x"), LoadSettings(model_name="m"))
    assert model_modules() > before
    model.unload()
    assert (tmp_path / "unloaded").exists()
    assert model_modules() == before


UNPICKLES = """
import io, pickle
{registered}
class M(CustomModel):
    def load(self) -> None:
        self.thing = pickle.{unpickler}(io.BytesIO((self.artifact / "thing.pkl").read_bytes())).load()
    def predict(self, x: np.ndarray) -> str: return self.thing.__qualname__
"""


@pytest.mark.parametrize("unpickler", ["Unpickler", "_Unpickler"])
def test_a_pickle_that_names_a_sibling_needs_it_registered_and_the_error_says_how(
    write: Write, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unpickler: str
) -> None:
    monkeypatch.setitem(sys.modules, "things", ModuleType("things"))  # restores what the model registers
    monkeypatch.delitem(sys.modules, "things")
    write("class Thing: pass", "things.py")
    (tmp_path / "thing.pkl").write_bytes(b"cthings\nThing\n.")  # protocol 0: the name of a global
    with pytest.raises(errors.ModelLoadError, match=r"write in model\.py: import sys, things; ") as caught:
        load(write(UNPICKLES.format(registered="", unpickler=unpickler)))
    remedy = str(caught.value).partition("model.py: ")[2]
    remedy = remedy[remedy.index("import sys") :]
    assert said(load, write(UNPICKLES.format(registered=remedy, unpickler=unpickler))) == "Thing"


def test_a_package_beside_the_model_is_held_to_the_policy_as_well(write: Write, load: Load) -> None:
    package = [write("", "package/__init__.py"), write("VALUE = 1", "package/inner.py")]
    path = write("from package.inner import VALUE" + SAYS.format(name="M", value="str(VALUE)"))
    digests = [f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}" for file in [*package, path]]
    assert said_under(load, path, ",".join(digests)) == "1"
    with pytest.raises(errors.UnpicklingRefused, match=r"inner\.py can run code"):
        load(path, policy=",".join([digests[0], digests[2]]))
