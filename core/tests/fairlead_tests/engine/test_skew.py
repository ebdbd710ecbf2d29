"""Versions that an artefact records against versions that are installed."""

from __future__ import annotations

import importlib.metadata

from fairlead import Library
from fairlead.engine import skew


def test_equal_versions_are_no_skew() -> None:
    assert skew.find({"numpy": importlib.metadata.version("numpy")}) == ()


def test_another_version_is_told_with_the_command_that_installs_it() -> None:
    (found,) = skew.find({"numpy": "1.2.3"})
    installed = importlib.metadata.version("numpy")
    assert str(found) == f"the artefact was saved with numpy 1.2.3, and {installed} is installed"
    assert found.remedy == "Try: pip install numpy==1.2.3"


def test_a_library_that_is_not_installed_is_told_so() -> None:
    (found,) = skew.find({"no-such-library": "1.0"})
    assert str(found) == "the artefact was saved with no-such-library 1.0, and it is not installed"


def test_another_distribution_of_the_same_module_counts_as_the_library() -> None:
    installed = importlib.metadata.version("numpy")
    library = Library("numpy-gpu", "numpy", alternatives=("numpy",))
    assert skew.find({"numpy-gpu": installed}, [library]) == ()
    (found,) = skew.find({"numpy-gpu": "1.2.3"}, [library])
    assert (str(found), found.remedy) == (
        f"the artefact was saved with numpy 1.2.3, and {installed} is installed",
        "Try: pip install numpy==1.2.3",
    )


def test_a_version_that_is_not_recorded_is_told_to_be_unknown() -> None:
    library = Library("numpy", "numpy")
    installed = importlib.metadata.version("numpy")
    assert skew.unrecorded({}, [library]) == (
        f"The artefact does not record the version of numpy that saved it; numpy {installed} is installed.",
    )
    assert skew.unrecorded({"numpy": "1.2.3"}, [library]) == ()


def test_a_library_that_saves_no_artefacts_has_no_version_to_tell() -> None:
    assert skew.unrecorded({}, [Library("numpy", "numpy", writes=False)]) == ()
