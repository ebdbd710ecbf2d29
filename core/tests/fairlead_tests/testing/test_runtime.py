"""The conformance kit of runtimes finds what a runtime does wrong, and nothing wrong with one that does well."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping

import pytest

from fairlead_tests.testing import flawed

Outcomes = Mapping[tuple[str, str], str]
"""``passed``, ``skipped``, or the text of a failure, by runtime and test."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What the kit says of every runtime; asked once, in a process where they are installed."""
    folder = tmp_path_factory.mktemp("flawed")
    tests = flawed.write(folder)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=found.xml", *tests]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (folder / "found.xml").exists(), done.stdout + done.stderr
    return {
        (case.attrib["classname"].rpartition("Test_")[2], case.attrib["name"]): _outcome(case)
        for case in ET.parse(folder / "found.xml").iter("testcase")
    }


def _outcome(case: ET.Element) -> str:
    for kind in ("failure", "error"):
        for found in case.iter(kind):
            return f"{kind}: {found.attrib['message']}"
    return "skipped" if list(case.iter("skipped")) else "passed"


@pytest.mark.parametrize("name", ["good", "refuses_nan"])
def test_a_good_runtime_passes_every_rule(outcomes: Outcomes, name: str) -> None:
    found = {test: outcome for (runtime, test), outcome in outcomes.items() if runtime == name}
    assert set(flawed.FLAWS.values()) <= set(found)
    expected = dict.fromkeys(found, "passed")
    expected["test_the_policy_trusted_loads_the_listed_file_alone"] = "skipped"
    assert found == expected


@pytest.mark.parametrize(("name", "rule"), flawed.FLAWS.items(), ids=list(flawed.FLAWS))
def test_a_flaw_is_found_by_the_rule_that_it_breaks(outcomes: Outcomes, name: str, rule: str) -> None:
    assert outcomes[name, rule].startswith("failure: ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("takes_a_half", "DID NOT RAISE"),
        ("raises_its_own", "JSONDecodeError"),
        ("takes_strangers", "DID NOT RAISE"),
        ("breaks_on_nan", "ValueError: NaN"),
        ("breaks_on_nothing", "IndexError"),
        ("recognises_all", 'stranger.good.json holds b\'{"not": "a model"}\', and is recognised'),
        ("recognises_none", "is not recognised: False"),
        ("loads_to_recognise", "a look at the files imports planted_flaws.heavy"),
        ("invents_rows", "no rows are answered with rows: [('y', (1,))]"),
        ("has_numbers_for_properties", "properties that are not text: {'devices': 1}"),
        ("takes_any_rank", "DID NOT RAISE"),
    ],
)
def test_a_failure_says_what_happened(outcomes: Outcomes, name: str, message: str) -> None:
    assert message in outcomes[name, flawed.FLAWS[name]]
