"""What servers say of their requests."""

from __future__ import annotations

import pytest

from fairlead.engine.metrics import Metrics
from fairlead_operator.scaling.exposition import Counts, read

FAIRLEAD = """
# HELP fairlead_requests_total Answered requests
# TYPE fairlead_requests_total counter
fairlead_requests_total{model_name="a",protocol="v1",code="200"} 3.0
fairlead_requests_total{model_name="a {odd} \\"name\\" 9",protocol="v2",code="503"} 4.0 1700000000000
# TYPE fairlead_requests_in_flight gauge
fairlead_requests_in_flight{model_name="a"} 2.0
fairlead_requests_in_flight{model_name="b"} 1.0
fairlead_requests_in_flight_other 100
request_predict_seconds_count{model_name="a"} 50.0
"""
VLLM = """
vllm:num_requests_running{model_name="m"} 5.0
vllm:num_requests_waiting{model_name="m"} 6.0
vllm:request_success_total{finished_reason="stop",model_name="m"} 7.0
vllm:request_success_total{finished_reason="length",model_name="m"} 8.0
"""


@pytest.mark.parametrize(
    ("page", "counts"),
    [
        (FAIRLEAD, Counts(3.0, 7.0)),
        (VLLM, Counts(11.0, 15.0)),
        ("request_predict_seconds_count 50.0\n", Counts(None, 50.0)),
        ('fairlead_requests_in_flight{model_name="a"} 2', Counts(2.0, 0.0)),
        ("# TYPE fairlead_requests_in_flight gauge", Counts(0.0, 0.0)),
        ("fairlead_requests_in_flight NaN", Counts()),
        ("fairlead_requests_in_flight -1", Counts()),
        ("fairlead_requests_in_flight", Counts()),
        ("go_goroutines 7", Counts()),
        ("<html>not found</html>", Counts()),
        ("", Counts()),
    ],
)
def test_requests_are_counted_over_all_models(page: str, counts: Counts) -> None:
    assert read(page) == counts


def test_a_server_of_fairlead_is_understood() -> None:
    metrics = Metrics()
    model = metrics.of("iris")
    assert read(metrics.expose("")[0].decode()) == Counts(0.0, 0.0)
    model.watch(in_flight=lambda: 3, waiting=lambda: 1)
    model.count("v1", 200)
    model.count("grpc", "OK")
    assert read(metrics.expose("")[0].decode()) == Counts(3.0, 2.0)
