"""An explainer for tests, as an installed plugin: it does as a request's parameter ``mode`` says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead_tests.plugins import distributions

__all__ = ["ROWS", "asked", "explained", "install", "v2"]

ROWS = {"instances": [[1, 2], [3, 4]]}

PLUGIN = """
from fairlead import ExplainerSpec, Setting, hookimpl

@hookimpl
def fairlead_explainers():
    settings = (Setting("fault", "", "What goes wrong."), Setting("folder", "", "Where it writes."))
    factory = "{package}.work:Work"
    return [ExplainerSpec(name={name!r}, explains=("tabular",), factory=factory, settings=settings, WHERE)]
"""

WORK = '''
"""Explains as the request's parameter `mode` says; writes down when an explanation ends."""
import dataclasses
import sys
import threading
from pathlib import Path

import numpy as np

from fairlead import Explainer, InferResponse, Tensor, errors


class Work(Explainer):
    def load(self, artifact, settings, model):
        self.fault = settings.options["fault"]
        self.folder = Path(settings.options["folder"])
        self.artifact = artifact
        self.beside = model is not None
        if self.fault == "load":
            raise ValueError("no reference data")
        if self.fault == "exit":
            sys.exit(3)

    def explain(self, request, predict):
        mode = request.parameters.get("mode", "difference")
        if self.fault == "sample":
            raise ValueError("division by zero")
        if self.fault == "refuses":
            raise errors.InvalidInput("zeros cannot be explained")
        try:
            return getattr(self, mode)(request, predict)
        finally:
            (self.folder / f"ended-{mode}").touch()

    def unload(self):
        (self.folder / "unloaded").touch()

    def difference(self, request, predict):
        """How far predictions are from those of zeros, by one call for each."""
        (tensor,) = request.inputs
        changed = Tensor.from_numpy(tensor.name, np.zeros_like(tensor.data, dtype=np.float64))
        one = predict(request).outputs[0].data
        other = predict(dataclasses.replace(request, inputs=[changed])).outputs[0].data
        outputs = [Tensor.from_numpy("difference", one - other), Tensor.from_numpy("base", other.sum(axis=1))]
        return InferResponse(model_name="", outputs=outputs)

    def document(self, request, predict):
        return InferResponse(model_name="", payload={"why": ["because"], "beside": self.beside})

    def listed(self, request, predict):
        return InferResponse(model_name="", payload=[1, 2])

    def thread(self, request, predict):
        return InferResponse(model_name="", payload={"thread": threading.current_thread().name})

    def nonsense(self, request, predict):
        return {"why": 1}

    def raises(self, request, predict):
        raise KeyError("weights")

    def leaves(self, request, predict):
        sys.exit(3)

    def wraps(self, request, predict):
        try:
            predict(dataclasses.replace(request, inputs=[Tensor.from_numpy("x", np.array(["text"]))]))
        except Exception as error:
            raise RuntimeError("the predict function failed") from error

    def endless(self, request, predict):
        (self.folder / "begun").touch()
        while True:
            predict(request)

    def stubborn(self, request, predict):
        """Goes on whatever a call raises, as libraries do that try several things."""
        for _ in range(20):
            try:
                predict(request)
            except Exception:
                pass
        return InferResponse(model_name="", payload={"why": "not known"})

    def artefact(self, request, predict):
        return InferResponse(model_name="", payload={"text": self.artifact.path.read_text()})

    def computing(self, request, predict):
        (self.folder / "begun").touch()
        while True:
            self.check()
'''


def install(site: distributions.Site, where: str = "") -> None:
    """Install the explainer ``probe``.

    Args:
        site: where to.
        where: fields of its spec that say where it runs.
    """
    site.install(
        "probe",
        plugin=PLUGIN.replace("WHERE", where),
        work=WORK,
        group="fairlead.explainers",
        distribution="fairlead-explainer-probe",
    )


def explained(folder: Path, **options: Any) -> Any:
    return {"explainer": "probe", "explainer_options": {"folder": str(folder), **options}}


def asked(mode: str, rows: Any = None) -> dict[str, Any]:
    return {"instances": rows or [[1, 2]], "parameters": {"mode": mode}}


def v2(mode: str = "difference", **members: Any) -> dict[str, Any]:
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.0]}
    return {"inputs": [tensor], "parameters": {"mode": mode}, **members}
