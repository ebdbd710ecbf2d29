"""Handing a model to the runtime of its framework: which flavours, and which of their files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import Artifact, Model
from fairlead.runtimes.threads import NTHREAD

if TYPE_CHECKING:
    from fairlead import Delegate, LoadSettings
    from fairlead_runtime_mlflow.inputs import Input
    from fairlead_runtime_mlflow.mlmodel import MLModel

__all__ = ["Handed", "load"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Flavor:
    """A flavour that a runtime can take over.

    Attributes:
        runtime: the runtime's name.
        member: the member of the flavour that names the file.
        fits: whether the runtime answers as MLflow does, by what the flavour says of itself.
        is_named: whether the runtime takes tensors by names of its own, and no tables.
    """

    runtime: str
    member: str
    fits: Callable[[Mapping[str, Any]], bool] = lambda _flavor: True
    is_named: bool = False


_FLAVORS: Final = {
    "catboost": _Flavor("catboost", "data", lambda flavor: flavor.get("save_format") == "cbm"),
    "lightgbm": _Flavor("lightgbm", "data", lambda flavor: flavor.get("model_class") == "lightgbm.basic.Booster"),
    "onnx": _Flavor("onnx", "data", lambda flavor: not flavor.get("onnx_session_options"), is_named=True),
    "sklearn": _Flavor("sklearn", "pickled_model"),
    # Of an estimator MLflow answers with labels, and the file alone does not say so.
    "xgboost": _Flavor("xgboost", "data", lambda flavor: flavor.get("model_class") == "xgboost.core.Booster"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Handed:
    """A model that another runtime has loaded.

    Attributes:
        runtime: the runtime's name.
        model: the model.
    """

    runtime: str
    model: Model


def load(model: MLModel, takes: Input, settings: LoadSettings, uri: str) -> Handed | None:
    """Let the runtime of the flavour load a model; None where MLflow must.

    It must where no such runtime is installed, where the model brings Python modules or takes parameters, where its
    signature has columns that tensors do not hold as they are, and where the runtime would answer otherwise.

    Raises:
        ModelLoadError: what the other runtime raises.
    """
    flavor = _FLAVORS.get(model.flavor)
    if flavor is None or flavor.runtime not in settings.delegates:
        return None
    delegate = settings.delegates[flavor.runtime]
    options = _options(model, delegate, settings)
    members = model.flavors[model.flavor]
    if options is None or not flavor.fits(members) or model.has_code or model.signature.get("params"):
        return None
    if not takes.is_plain or (takes.is_table and flavor.is_named):
        return None
    path = model.folder / str(members.get(flavor.member))
    artifact = Artifact(path=path, uri=uri)
    if not path.is_file() or not artifact.matching(delegate.spec.artifacts):
        return None
    loaded = delegate.load(artifact, options)
    if not isinstance(loaded, Model):
        loaded.unload()
        return None
    return Handed(flavor.runtime, loaded)


def _options(model: MLModel, delegate: Delegate, settings: LoadSettings) -> dict[str, Any] | None:
    """The settings of the other runtime; None where it does not have the method that MLflow would call."""
    known = {setting.name: setting for setting in delegate.spec.settings}
    options = {name: value for name, value in settings.options.items() if name == NTHREAD.name and name in known}
    method = str(model.pyfunc.get("predict_fn", "predict"))
    if "method" in known:
        if method not in known["method"].choices:
            return None
        options["method"] = method
    elif method != "predict":
        return None
    return options
