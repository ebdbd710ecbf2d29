"""The models for mosec, with JSON in the form of V1. COMPARE_BATCH is the largest batch; without it there are none.

python -m comparison.servers.mosec_workers --address 127.0.0.1 --port 8080
"""

from __future__ import annotations

import os
from typing import Any

import joblib
import numpy as np
from mosec import Runtime, Server, Worker

from comparison import models

BATCH = int(os.environ.get("COMPARE_BATCH", "1"))


class _Served(Worker):  # type: ignore[misc]  # mosec is not installed where this is checked
    def forward(self, data: Any) -> Any:
        """The answer to one request, or to each of a batch."""
        bodies = data if BATCH > 1 else [data]
        rows = [np.array(body["instances"]) for body in bodies]
        found = np.split(self.function(np.concatenate(rows)), np.cumsum([len(each) for each in rows])[:-1])
        answers = [{"predictions": each.tolist()} for each in found]
        return answers if BATCH > 1 else answers[0]


class Iris(_Served):
    """The classifier."""

    def __init__(self) -> None:
        self.function = joblib.load(models.folder() / "iris" / "model.joblib").predict


class Cost(_Served):
    """A known amount of work."""

    def __init__(self) -> None:
        self.function = models.cost


def main() -> None:
    """Serve."""
    workers = {"iris": Iris, "cost": Cost}
    batching = {"max_batch_size": BATCH, "max_wait_time": 1} if BATCH > 1 else {}
    server = Server()
    server.register_runtime(
        {f"/{name}": [Runtime(workers[name], **batching)] for name in models.names() if name in workers}
    )
    server.run()


if __name__ == "__main__":
    main()
