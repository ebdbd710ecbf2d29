from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead_explainer_alibi_tests import asking
from fairlead_explainer_alibi_tests.asking import Model, loaded, matrix, texts

pytest.importorskip("alibi", reason=asking.WITHOUT_ALIBI)


def positive(values: Any) -> Any:
    return (np.asarray(values)[:, 0] > 0).astype(np.int64)


def good(values: Any) -> Any:
    return np.array(["good" in str(text) for text in values]).astype(np.int64)


@pytest.fixture(scope="module")
def tabular(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An explainer of a table that alibi has saved."""
    from alibi.explainers import AnchorTabular
    from alibi.saving import save_explainer

    folder = tmp_path_factory.mktemp("tabular")
    generator = np.random.default_rng(0)
    rows = np.column_stack([generator.permutation(np.linspace(-1, 1, 301)) for _ in range(3)])
    save_explainer(AnchorTabular(positive, ["a", "b", "c"], seed=0).fit(rows), folder)
    return folder


def digests(folder: Path) -> str:
    files = [folder / name for name in ("meta.dill", "explainer.dill")]
    return ",".join(f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files)


@pytest.mark.parametrize("trusted", [False, True])
def test_a_saved_explainer_of_a_table_explains(tabular: Path, trusted: bool) -> None:
    explainer = loaded(tabular, unpickling=digests(tabular) if trusted else "allow")
    (found,) = explainer.explain(matrix([[0.7, 0.1, 0.1]]), Model(positive)).payload
    (anchor,) = found["data"]["anchor"]
    assert anchor.startswith("a > ")


def test_a_saved_explainer_of_texts_explains(tmp_path: Path) -> None:
    import spacy
    from alibi.explainers import AnchorText
    from alibi.saving import save_explainer

    nlp = spacy.blank("en")
    nlp.vocab.lookups.add_table("lexeme_prob", {})
    save_explainer(AnchorText(good, sampling_strategy="unknown", nlp=nlp), tmp_path)
    (found,) = loaded(tmp_path).explain(texts("a good book"), Model(good)).payload
    assert found["data"]["anchor"] == ["good"]


def test_a_method_that_is_not_the_saved_one_is_refused(tabular: Path) -> None:
    with pytest.raises(errors.ModelLoadError, match="is an anchor_tabular, and the setting method says anchor_text"):
        loaded(tabular, method="anchor_text")


def test_another_explainer_of_alibi_is_refused(tmp_path: Path) -> None:
    from alibi.explainers import PermutationImportance
    from alibi.saving import save_explainer

    save_explainer(PermutationImportance(positive, score_fns="accuracy", feature_names=["a"]), tmp_path)
    with pytest.raises(errors.ModelLoadError, match="is a PermutationImportance, and this plugin runs AnchorTabular"):
        loaded(tmp_path)


@pytest.mark.parametrize("name", ["meta.dill", "explainer.dill"])
def test_a_damaged_file_is_an_error_that_says_so(tabular: Path, tmp_path: Path, name: str) -> None:
    for file in tabular.iterdir():
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content[: len(content) // 2] if file.name == name else content)
    with pytest.raises(errors.ModelLoadError, match="does not load"):
        loaded(tmp_path)
