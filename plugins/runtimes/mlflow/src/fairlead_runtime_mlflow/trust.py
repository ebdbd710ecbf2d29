"""What of a model's folder runs code as MLflow loads it, and whether the unpickling policy permits that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead import UnpicklingPolicy, errors
from fairlead_runtime_mlflow._plugin import SPEC

if TYPE_CHECKING:
    from fairlead_runtime_mlflow.mlmodel import MLModel

__all__ = ["check", "runs_code"]

_DESCRIPTIONS: Final = frozenset(
    (
        *("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "registered_model_meta", "README.md"),
        *("input_example.json", "serving_input_example.json", "serving_input_payload.json"),
    )
)
"""Files that MLflow writes beside a model, and that it reads as text."""

_LOADERS: Final = frozenset(
    f"mlflow.{name}"
    for name in ("lightgbm", "prophet", "pyfunc.model", "pytorch", "sklearn", "statsmodels", "tensorflow")
)
"""Modules of MLflow that load code from files of the folder alone; others import or fetch what ``MLmodel`` names."""

_SHOWN: Final = 5


def runs_code(model: MLModel) -> bool:
    """Whether MLflow runs code of the model's own as it loads it: a pickle, Python modules, a class that it names.

    Data alone are skops files without trusted types, and the own formats of XGBoost, LightGBM, CatBoost and ONNX.
    """
    flavor = model.flavors.get(model.flavor, {})
    if model.has_code or model.pyfunc.get("loader_module") != f"mlflow.{model.flavor}":
        return True
    is_data = _IS_DATA.get(model.flavor)
    return is_data is None or not is_data(flavor)


def check(model: MLModel, policy: UnpicklingPolicy) -> None:
    """Ask the policy before MLflow loads a model that runs code.

    Every file of the folder is asked for but those that only describe the model, because code may read any of them.
    ``MLmodel`` is asked for too where it names a module to import that is none of `_LOADERS`, and in a folder of no
    other files: it can name any module of this machine.

    Raises:
        UnpicklingRefused: the policy does not permit one of them; nothing of the model has run.
    """
    if not runs_code(model):
        return
    files = _files(model.folder)
    if not files or str(model.pyfunc.get("loader_module")) not in _LOADERS:
        files = [model.folder / SPEC.artifacts[0], *files]
    refused = [path for path in files if not policy.permits(path)]
    if not refused:
        return
    names = [str(path.relative_to(model.folder)) for path in refused]
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    raise errors.UnpicklingRefused(
        f"The MLflow model runs code as it loads (flavor {model.flavor}: {shown}), and the unpickling policy is "
        f"{policy.mode}, which does not permit these files.",
        remedy="Save it in a format without code (skops for scikit-learn), or trust these files: add the digest of "
        "each, as sha256sum prints it, to the unpickling policy.",
    )


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not (path.parent == folder and path.name in _DESCRIPTIONS)
    )


def _is_booster(flavor: Mapping[str, Any]) -> bool:
    return flavor.get("model_class") == "lightgbm.basic.Booster"


def _is_plain_onnx(flavor: Mapping[str, Any]) -> bool:
    """Options of a provider may name libraries that it loads."""
    return not flavor.get("onnx_session_options") and all(isinstance(each, str) for each in flavor.get("providers", ()))


_IS_DATA: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "catboost": lambda flavor: str(flavor.get("model_type", "")).startswith("CatBoost"),
    "lightgbm": _is_booster,
    "onnx": _is_plain_onnx,
    "sklearn": lambda flavor: flavor.get("serialization_format") == "skops" and not flavor.get("skops_trusted_types"),
    "xgboost": lambda flavor: str(flavor.get("model_class", "")).startswith("xgboost."),
}
"""Whether a flavour's file is data alone, by what the flavour says of it."""
