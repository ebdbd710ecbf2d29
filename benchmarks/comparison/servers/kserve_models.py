"""The models for KServe's Python server, on its public API.

KServe's servers of frameworks are not published as packages; this one loads and predicts through the same public
helpers. The flags are those of ``kserve.ModelServer``.

    python -m comparison.servers.kserve_models --http_port 8080 --grpc_port 8081
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import joblib
import kserve
from kserve.utils.utils import get_predict_input, get_predict_response

from comparison import models


class Served(kserve.Model):  # type: ignore[misc]  # kserve has no types
    """A function of one array."""

    def __init__(self, name: str, function: Callable[[Any], Any]) -> None:
        super().__init__(name)
        self._function = function
        self.ready = True

    def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:  # noqa: ARG002  # its signature
        """The answer to V1, V2 and gRPC."""
        return get_predict_response(payload, self._function(get_predict_input(payload)), self.name)


def main() -> None:
    """Serve."""
    kserve.ModelServer().start([Served(name, _function(name)) for name in models.names()])


def _function(name: str) -> Callable[[Any], Any]:
    if name == "boosted":
        return _booster()
    if name != "iris":
        return models.ARRAYS[name]
    predict: Callable[[Any], Any] = joblib.load(models.folder() / "iris" / "model.joblib").predict
    return predict


def _booster() -> Callable[[Any], Any]:
    import lightgbm

    booster = lightgbm.Booster(params={"num_threads": 1}, model_file=models.folder() / "boosted" / "model.bst")
    predict: Callable[[Any], Any] = booster.predict
    return predict


if __name__ == "__main__":
    main()
