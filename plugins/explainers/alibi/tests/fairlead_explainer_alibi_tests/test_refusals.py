"""What is refused before alibi is imported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead_explainer_alibi_tests.asking import loaded


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", 0.0),
        ("threshold", 1.5),
        ("delta", -1.0),
        ("tau", 1.0),
        ("sample_proba", 0.0),
        ("batch_size", 0),
        ("beam_size", 0),
        ("max_anchor_size", -1),
        ("coverage_samples", 0),
        ("seed", -1),
        ("n_steps", 0),
        ("internal_batch_size", 0),
        ("baseline", float("nan")),
    ],
)
def test_a_setting_out_of_range_is_named(name: str, value: float) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(errors.ConfigurationError, match=f"setting {name}: {value}"):
        loaded(None, **options)


def test_a_table_without_reference_data_is_not_explained() -> None:
    with pytest.raises(errors.ModelLoadError, match=r"need reference data.*method=anchor_text"):
        loaded(None)


def test_integrated_gradients_without_a_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelLoadError, match=r"those of a model of Keras.*--explainer-dir PATH"):
        loaded(None, method="integrated_gradients")
    with pytest.raises(errors.ArtifactMissing, match=r"\*\.keras"):
        loaded(tmp_path, method="integrated_gradients")


def test_integrated_gradients_without_tensorflow_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.keras").touch()
    for name in ("keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(errors.ModelLoadError, match=r"need TensorFlow.*path of this machine.*'tensorflow-cpu>=2"):
        loaded(tmp_path)


@pytest.mark.parametrize("policy", ["deny", f"sha256:{'0' * 64}"])
def test_a_saved_explainer_is_subject_to_the_unpickling_policy(tmp_path: Path, policy: str) -> None:
    for name in ("meta.dill", "explainer.dill"):
        (tmp_path / name).write_bytes(b"cposix\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(errors.UnpicklingRefused, match=r"meta\.dill"):
        loaded(tmp_path, unpickling=policy)


def test_a_saved_explainer_without_its_other_file_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "explainer.dill").write_bytes(b"")
    with pytest.raises(errors.ModelLoadError, match=r"meta\.dill is missing"):
        loaded(tmp_path)
