from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fairlead import InferRequest, errors
from fairlead_explainer_alibi_tests import asking
from fairlead_explainer_alibi_tests.asking import Model, columns, loaded, matrix, texts

if TYPE_CHECKING:
    from fairlead_explainer_alibi.explainer import AlibiExplainer

pytest.importorskip("alibi", reason=asking.WITHOUT_ALIBI)

NAMES = ["sepal length", "sepal width", "petal length", "petal width"]


@pytest.fixture(scope="module")
def rows() -> Any:
    from sklearn.datasets import load_iris

    return load_iris().data


@pytest.fixture(scope="module")
def flowers(rows: Any, tmp_path_factory: pytest.TempPathFactory) -> AlibiExplainer:
    folder = tmp_path_factory.mktemp("flowers")
    header = ",".join(NAMES)
    np.savetxt(folder / "rows.csv", rows, delimiter=",", header=header, comments="", fmt="%g")
    return loaded(folder)


def small(values: Any) -> Any:
    """Whether a flower is of the kind with small petals."""
    return (values[:, 3] < 0.8).astype(np.int64)


def explained(explainer: AlibiExplainer, request: InferRequest, model: Model) -> list[Any]:
    found: list[Any] = explainer.explain(request, model).payload
    assert json.loads(json.dumps(found)) == found
    return found


def test_an_anchor_of_a_row_is_what_the_model_looks_at(flowers: AlibiExplainer, rows: Any) -> None:
    model = Model(small)
    (found,) = explained(flowers, matrix(rows[:1]), model)
    assert found["meta"]["name"] == "AnchorTabular"
    assert found["data"]["anchor"] == ["petal width <= 0.30"]
    assert found["data"]["precision"] >= 0.95
    assert 0 < found["data"]["coverage"] < 1
    assert found["data"]["raw"]["success"] is True
    assert found["data"]["raw"]["instance"] == rows[0].tolist()
    assert len(model.asked) < 20
    assert model.rows > 10 * len(model.asked)


def test_every_row_has_an_explanation_and_the_same_one_each_time(flowers: AlibiExplainer, rows: Any) -> None:
    several = explained(flowers, matrix(rows[[0, 60, 149]]), Model(small))
    assert [each["data"]["raw"]["prediction"] for each in several] == [[1], [0], [0]]
    again = explained(flowers, matrix(rows[[149]]), Model(small))
    assert again == several[2:]


@pytest.mark.parametrize(
    "function",
    [
        lambda values: np.column_stack([1 - 0.9 * small(values), 0.9 * small(values)]),
        lambda values: np.where(small(values), 0.8, 0.1),
        lambda values: small(values).astype(np.float64),
        lambda values: np.where(small(values), "setosa", "other").astype(object),
    ],
    ids=["probabilities", "one probability", "whole numbers", "text"],
)
def test_labels_and_probabilities_have_the_same_anchor(flowers: AlibiExplainer, rows: Any, function: Any) -> None:
    (found,) = explained(flowers, matrix(rows[:1]), Model(function))
    assert found["data"]["anchor"] == ["petal width <= 0.30"]


def test_a_regression_is_refused(flowers: AlibiExplainer, rows: Any) -> None:
    with pytest.raises(errors.InvalidInput, match="Anchors explain classifiers"):
        flowers.explain(matrix(rows[:1]), Model(lambda values: 100.5 * values[:, 0]))


def test_the_failure_of_the_model_is_that_of_the_explanation(flowers: AlibiExplainer, rows: Any) -> None:
    def fail(_: InferRequest) -> Any:
        raise errors.PredictorFailed("it is broken", status=500)

    with pytest.raises(errors.PredictorFailed, match="it is broken"):
        flowers.explain(matrix(rows[:1]), fail)
    assert explained(flowers, matrix(rows[:1]), Model(small))


def test_a_category_is_explained_by_its_name_and_asked_as_it_was_sent(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    lines = [f"{generator.integers(20, 60)},{generator.choice(['north', 'south', 'west'])}" for _ in range(200)]
    (tmp_path / "rows.csv").write_text("age,region\n" + "\n".join(lines) + "\n")
    explainer = loaded(tmp_path)

    def predict(age: Any, region: Any) -> Any:
        assert region.dtype.kind in "OU"
        return np.array([str(each) == "west" for each in region]).astype(np.int64)

    (found,) = explained(explainer, columns(region=["west"], age=[30]), Model(predict, named=True))
    assert found["data"]["anchor"] == ["region = west"]
    (coded,) = explained(explainer, matrix([[30.0, 2.0]]), Model(lambda values: (values[:, 1] == 2).astype(np.int64)))
    assert coded["data"]["anchor"] == ["region = west"]


def test_an_anchor_of_a_text_is_the_words_that_the_model_looks_at() -> None:
    model = Model(lambda values: np.array(["good" in str(text) for text in values]).astype(np.int64))
    explainer = loaded(None, method="anchor_text")
    found = explained(explainer, texts("This is a good book .", "bad"), model)
    assert found[0]["data"]["anchor"] == ["good"]
    assert found[0]["data"]["precision"] >= 0.95
    assert found[1]["data"]["anchor"] == []
    assert found[1]["data"]["precision"] == 1.0
    assert explained(explainer, texts("This is a good book ."), model) == found[:1]


@pytest.fixture(scope="module")
def similar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spaCy pipeline that knows which words are similar."""
    import spacy

    nlp = spacy.blank("en")
    generator = np.random.default_rng(0)
    words = ("good", "great", "fine", "bad", "poor", "book", "film", "play")
    for word in words:
        nlp.vocab.set_vector(word, generator.normal(size=8).astype(np.float32))
    nlp.vocab.lookups.add_table("lexeme_prob", dict.fromkeys(words, -8.0))  # rare words are not taken
    nlp.add_pipe("attribute_ruler").add([[{}]], {"POS": "NOUN"})  # words of other kinds are not replaced
    folder = tmp_path_factory.mktemp("similar")
    nlp.to_disk(folder / "nlp")
    return folder


def test_words_may_be_replaced_by_similar_ones(similar: Path) -> None:
    asked: set[str] = set()

    def predict(values: Any) -> Any:
        asked.update(map(str, values))
        return np.array(["good" in str(text) for text in values]).astype(np.int64)

    explainer = loaded(similar, sampling="similarity")
    (found,) = explained(explainer, texts("good book"), Model(predict))
    assert found["data"]["anchor"] == ["good"]
    assert not any("UNK" in text for text in asked)
    assert any("film" in text or "play" in text for text in asked)


def test_a_pipeline_that_is_none_or_knows_no_similar_words_is_refused(tmp_path: Path) -> None:
    import spacy

    with pytest.raises(errors.ModelLoadError, match="pipeline with vectors"):
        loaded(None, method="anchor_text", sampling="similarity")
    with pytest.raises(errors.ModelLoadError, match="no language 'zz'"):
        loaded(None, method="anchor_text", language="zz")
    (tmp_path / "nlp").mkdir()
    with pytest.raises(errors.ModelLoadError, match="does not load"):
        loaded(tmp_path)
    spacy.blank("en").to_disk(tmp_path / "nlp")
    with pytest.raises(errors.ModelLoadError, match="has no vectors"):
        loaded(tmp_path, sampling="similarity")


@pytest.mark.parametrize("text", ["", "a,b", "75,25", "0,50", "50,100", "50,50"])
def test_percentiles_have_to_grow(tmp_path: Path, text: str) -> None:
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(20, 2)))
    with pytest.raises(errors.ConfigurationError, match="disc_perc"):
        loaded(tmp_path, disc_perc=text)
