"""One InferenceService for each model format, written as KServe's documentation writes them, without a cluster."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from typing import Final

import numpy as np
import pytest

from integration.formats import FORMATS, Case
from integration.platforms import Platform, platform

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

MANIFEST: Final = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {name}
spec:
  predictor:
    model:
      modelFormat:
        name: {name}
      storageUri: file://{folder}
"""
RUNTIMES: Final = {"pytorch": "torch"}
"""Runtimes that are not called as the format is."""

WITHOUT_JAVA: Final = "there is no Java; on Debian and Ubuntu: apt-get install default-jre-headless"


def _possible(name: str) -> bool:
    return name != "pmml" or shutil.which("java") is not None


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case | str]:
    """What each model must answer, by format; or why there is none."""
    made: dict[str, Case | str] = {}
    for name, make in FORMATS.items():
        folder = tmp_path_factory.getbasetemp() / "formats" / name
        folder.mkdir(parents=True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of libraries, as they are imported and as they save
                made[name] = make(folder) if _possible(name) else WITHOUT_JAVA
        except pytest.skip.Exception as skipped:
            made[name] = str(skipped)
    return made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, cases: dict[str, Case | str]) -> Iterator[Platform]:
    manifests = tmp_path_factory.mktemp("platform") / "manifests"
    manifests.mkdir()
    for name, case in cases.items():
        if isinstance(case, Case):
            folder = tmp_path_factory.getbasetemp() / "formats" / name
            (manifests / f"{name}.yaml").write_text(MANIFEST.format(name=name, folder=folder))
    with platform(manifests) as made:
        yield made


@pytest.mark.parametrize("name", FORMATS)
def test_a_model_of_each_format_answers_as_its_library_does(
    running: Platform, cases: dict[str, Case | str], name: str
) -> None:
    case = cases[name]
    if isinstance(case, str):
        pytest.skip(case)
    running.wait_ready(name)
    answer = running.ask(name, dict(case.question))
    assert answer.status_code == 200, answer.text
    found = answer.json()["predictions"]
    if isinstance(case.expected, list):
        assert found == case.expected
    else:
        np.testing.assert_allclose(np.asarray(found), case.expected, rtol=1e-5)
    status = json.loads(running.run("status", name, "-o", "json"))["status"]
    assert status["clusterServingRuntimeName"] == f"fairlead-{RUNTIMES.get(name, name)}"
