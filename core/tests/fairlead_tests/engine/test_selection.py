"""Which runtime serves an artefact, and why."""

from __future__ import annotations

import decimal
import pickle
from pathlib import Path

import pytest

from fairlead import Artifact, ModelFormat, RuntimeSpec, errors
from fairlead.engine import selection


def spec(
    name: str, *patterns: str, priority: int = 1, auto: bool = True, model_format: str | None = None
) -> RuntimeSpec:
    formats = (ModelFormat(model_format or name, auto_select=auto, priority=priority),)
    return RuntimeSpec(name=name, formats=formats, factory="module:Class", artifacts=patterns)


def runtimes(*specs: RuntimeSpec) -> dict[str, RuntimeSpec]:
    return {each.name: each for each in specs}


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    (tmp_path / "model.json").write_text("{}")
    (tmp_path / ".hidden.pkl").write_text("")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "model.pkl").write_text("")
    return Artifact(path=tmp_path, uri="file:///the/model")


def test_file_names_at_the_top_level_decide_and_the_reason_names_them(artifact: Artifact) -> None:
    choice = selection.choose(artifact, runtimes(spec("pickles", "*.pkl"), spec("trees", "*.json")))
    assert (choice.spec.name, choice.reason) == ("trees", "because of model.json")


def test_a_folder_is_matched_by_a_pattern_that_ends_in_a_slash(artifact: Artifact) -> None:
    choice = selection.choose(artifact, runtimes(spec("folders", "assets/"), spec("files", "assets")))
    assert choice.spec.name == "folders"


def test_the_higher_priority_wins_and_the_reason_says_over_whom(artifact: Artifact) -> None:
    choice = selection.choose(artifact, runtimes(spec("low", "*.json"), spec("high", "*.json", priority=2)))
    assert (choice.spec.name, choice.reason) == ("high", "because of model.json (preferred by priority over low)")


def test_equal_priorities_are_an_error_that_names_both(artifact: Artifact) -> None:
    with pytest.raises(errors.FormatUnknown, match=r"trees, others\. Choose one with --format"):
        selection.choose(artifact, runtimes(spec("trees", "*.json"), spec("others", "*.json")))


# -- names that several share ---------------------------------------------------------------------------


def knowing(**looks: bool | None) -> selection.Recognises:
    """What each runtime says of whatever it is shown; None for one that does not look."""
    return lambda shown, _artifact: looks.get(shown.name)


TREES, OTHERS, THIRD = spec("trees", "*.json"), spec("others", "*.json"), spec("third", "*.json")


@pytest.mark.parametrize(
    ("looks", "chosen"),
    [
        ({"trees": True, "others": False}, "trees"),
        ({"others": True}, "others"),
        ({"trees": False, "third": False}, "others"),
    ],
)
def test_of_runtimes_that_share_a_name_the_one_that_knows_the_file_is_chosen(
    artifact: Artifact, looks: dict[str, bool], chosen: str
) -> None:
    found = selection.choose(artifact, runtimes(TREES, OTHERS, THIRD), recognises=knowing(**looks))
    assert found.spec.name == chosen


def test_the_reason_says_that_the_file_was_looked_at_where_that_decided(artifact: Artifact) -> None:
    choice = selection.choose(artifact, runtimes(TREES, OTHERS), recognises=knowing(trees=True))
    assert choice.reason == "because of model.json and what it holds"
    choice = selection.choose(artifact, runtimes(TREES, OTHERS), recognises=knowing(trees=True, others=False))
    assert choice.reason == "because of model.json"


def test_two_that_know_a_file_is_an_error_that_names_both(artifact: Artifact) -> None:
    with pytest.raises(errors.FormatUnknown, match="trees, others"):
        selection.choose(artifact, runtimes(TREES, OTHERS), recognises=knowing(trees=True, others=True))


@pytest.mark.parametrize(("names", "verb"), [(("trees",), "takes"), (("trees", "others"), "take")])
def test_a_file_that_nobody_knows_is_taken_by_nobody(artifact: Artifact, names: tuple[str, ...], verb: str) -> None:
    specs = runtimes(*(each for each in (TREES, OTHERS) if each.name in names))
    with pytest.raises(errors.FormatUnknown) as raised:
        selection.choose(artifact, specs, recognises=lambda _spec, _artifact: False)
    assert f"model.json in file:///the/model has a name that {', '.join(names)} {verb}, and nothing" in str(
        raised.value
    )
    assert selection.choose(artifact, specs, "trees", recognises=knowing(trees=False)).spec.name == "trees"


def test_a_pickle_that_nobody_knows_is_told_by_the_library_that_it_is_of(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(decimal.Decimal(1)))
    artifact = Artifact(path=path, uri="file:///the/model.pkl")
    with pytest.raises(errors.FormatUnknown, match=r"a pickle of decimal.*fairlead-runtime-decimal"):
        selection.choose(artifact, runtimes(spec("trees", "*.pkl")), recognises=knowing(trees=False))


def test_priority_counts_before_what_a_file_holds(artifact: Artifact) -> None:
    both = runtimes(TREES, spec("wrapper", "*.json", priority=2))
    assert selection.choose(artifact, both, recognises=knowing(trees=True)).spec.name == "wrapper"
    assert selection.choose(artifact, both, recognises=knowing(trees=True, wrapper=False)).spec.name == "trees"


def test_runtimes_that_may_not_be_chosen_automatically_are_not(artifact: Artifact) -> None:
    both = runtimes(spec("trees", "*.json"), spec("manual", "*.json", priority=9, auto=False))
    assert selection.choose(artifact, both).spec.name == "trees"
    assert selection.choose(artifact, both, "manual").spec.name == "manual"


def test_nothing_that_fits_is_an_error_that_says_what_is_there_and_what_is_taken(artifact: Artifact) -> None:
    with pytest.raises(errors.FormatUnknown) as raised:
        selection.choose(artifact, runtimes(spec("graphs", "*.onnx")))
    for part in ("file:///the/model", "assets, model.json", "graphs: *.onnx", "--format"):
        assert part in str(raised.value)


def test_a_format_that_is_asked_for_is_found_by_runtime_or_by_format(artifact: Artifact) -> None:
    both = runtimes(spec("one", "*.a", model_format="trees"), spec("two", "*.b", model_format="trees", priority=2))
    assert selection.choose(artifact, both, "one").reason == "because it was asked for"
    assert selection.choose(artifact, both, "trees").spec.name == "two"


def test_a_format_that_nobody_serves_is_an_error_with_what_to_install(artifact: Artifact) -> None:
    with pytest.raises(errors.FormatUnknown, match=r"installed: trees.*fairlead-runtime-onnx"):
        selection.choose(artifact, runtimes(spec("trees", "*.json")), "onnx")


def test_a_runtime_that_is_installed_and_cannot_be_used_is_not_passed_over_in_silence(artifact: Artifact) -> None:
    broken = {"graphs": errors.PluginBroken("The runtime plugin 'graphs' raises ImportError.")}
    with pytest.raises(errors.FormatUnknown, match="One that might is not usable: The runtime plugin 'graphs' raises"):
        selection.choose(artifact, runtimes(spec("pictures", "*.png")), None, broken)
    with pytest.raises(errors.PluginBroken, match="'graphs' raises"):
        selection.choose(artifact, runtimes(spec("trees", "*.json")), "graphs", broken)
