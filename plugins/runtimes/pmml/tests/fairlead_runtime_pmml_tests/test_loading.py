"""Documents that do not load, each with an error that says what is wrong."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import Artifact, LoadSettings, errors
from fairlead.testing.server import running_server
from fairlead_runtime_pmml.runtime import PmmlRuntime
from fairlead_runtime_pmml_tests.documents import REGRESSION, TREE, with_version

if TYPE_CHECKING:
    from fairlead_runtime_pmml.model import PmmlModel

DOCTYPE = '<!DOCTYPE PMML [<!ENTITY secret SYSTEM "file:///etc/hostname">]>'


def load(path: Path) -> PmmlModel:
    return PmmlRuntime().load(Artifact(path=path, uri=path.as_uri()), LoadSettings(model_name="m"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (TREE.read_text()[:800], "no whole document of XML"),
        ('{"learner": {}}', "no whole document of XML"),
        ("<html/>", "a document of 'html'"),
        (with_version(REGRESSION, "5.0"), "PMML-5_0 is not supported"),
        (TREE.read_text().replace("<PMML", f"{DOCTYPE}<PMML"), "document type"),
        ('<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4"><Header/><DataDictionary/></PMML>', "does not load"),
        (TREE.read_text().replace('field="petal_length"', 'field="sepal_length"'), "sepal_length"),
    ],
)
def test_a_document_that_is_none_is_an_error_that_says_so(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "model.pmml").write_text(text)
    with pytest.raises(errors.ModelLoadError, match=said), running_server({"m": tmp_path}):
        pass


def test_two_documents_are_ambiguous(tmp_path: Path) -> None:
    for name in ("a.pmml", "b.pmml"):
        (tmp_path / name).write_bytes(TREE.read_bytes())
    with pytest.raises(errors.ArtifactAmbiguous, match="More than one model file"):
        load(tmp_path)


def test_samples_use_values_that_the_document_allows() -> None:
    model = load(REGRESSION)
    (sample,) = model.samples()
    assert sample.input("city").data.tolist() == [b"bern"]
    assert model.predict(sample).output("price").data.tolist() == [15.0]


_WITHOUT_JAVA = """
import sys, jpype
from pathlib import Path
from fairlead import Artifact, LoadSettings
from fairlead_runtime_pmml.runtime import PmmlRuntime
def nothing():
    raise jpype.JVMNotFoundException("No JVM shared library file (libjvm.so) found.")
jpype._core.getDefaultJVMPath = nothing
try:
    PmmlRuntime().load(Artifact(path=Path(sys.argv[1]), uri="x"), LoadSettings(model_name="m"))
except Exception as error:
    print(type(error).__name__, error, error.remedy)
"""


def test_without_java_the_error_says_what_to_install() -> None:
    command = [sys.executable, "-c", _WITHOUT_JAVA, str(TREE)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("ModelLoadError The runtime pmml needs a Java runtime")
    assert "apt-get install default-jre-headless" in said


def test_describing_the_runtime_loads_neither_jpype_nor_a_jvm() -> None:
    program = "import sys, fairlead_runtime_pmml._plugin; print({'jpype', 'jpmml_evaluator', 'numpy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_packages_of_java_are_no_modules_of_python() -> None:
    """JPMML has a package of that name, and whoever tries to import the module gets no ImportError."""
    if importlib.util.find_spec("dill") is not None:
        pytest.skip("dill is installed")
    load(TREE)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("dill")
