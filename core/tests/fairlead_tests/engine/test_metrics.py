"""Metrics of one process, and those that several share, each written by a process of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from fairlead.engine.metrics import Drop, Metrics

SCRIPT = """
import os, sys
from pathlib import Path
from fairlead.engine.metrics import Metrics, Share

share = Share(Path(sys.argv[1]), int(sys.argv[2]))
metrics = Metrics(share)
model = metrics.of("iris")
model.ready.set(float(sys.argv[3]))
for _ in range(int(sys.argv[4])):
    model.count("v1", 200)
    model.predict.observe(0.25)
text, _ = metrics.expose(sys.argv[5])
sys.stdout.write(text.decode())
sys.stdout.flush()
if len(sys.argv) > 6:
    os.kill(os.getpid(), 9)
"""


def work(folder: Path, slot: int, *, ready: int, count: int, accept: str = "", die: bool = False) -> list[str]:
    """What a process shows after it has counted some requests."""
    arguments = [str(folder), str(slot), str(ready), str(count), accept, *(["die"] if die else [])]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == (-9 if die else 0)
    return done.stdout.splitlines()


REQUESTS = 'fairlead_requests_total{code="200",model_name="iris",protocol="v1"}'
READY = 'fairlead_model_ready{model_name="iris"}'


def test_every_process_shows_the_sums_over_all(tmp_path: Path) -> None:
    assert f"{REQUESTS} 3.0" in work(tmp_path, 0, ready=1, count=3)
    shown = work(tmp_path, 1, ready=1, count=4)
    assert f"{REQUESTS} 7.0" in shown
    assert 'request_predict_seconds_count{model_name="iris"} 7.0' in shown
    assert 'request_predict_seconds_sum{model_name="iris"} 1.75' in shown


def test_a_process_that_takes_a_slot_counts_on_where_a_killed_one_stopped(tmp_path: Path) -> None:
    work(tmp_path, 0, ready=1, count=3, die=True)
    files = set(tmp_path.iterdir())
    assert f"{REQUESTS} 5.0" in work(tmp_path, 0, ready=1, count=2)
    assert set(tmp_path.iterdir()) == files


def test_a_model_is_ready_while_any_process_answers(tmp_path: Path) -> None:
    work(tmp_path, 0, ready=1, count=0)
    assert f"{READY} 1.0" in work(tmp_path, 1, ready=0, count=0)


def test_readiness_of_a_process_that_has_died_is_forgotten_and_its_counts_are_not(tmp_path: Path) -> None:
    from fairlead.engine.metrics import Share

    work(tmp_path, 0, ready=1, count=3, die=True)
    Share(tmp_path, 0).forget()
    shown = work(tmp_path, 1, ready=0, count=0)
    assert f"{READY} 0.0" in shown
    assert f"{REQUESTS} 3.0" in shown


def test_metrics_of_a_single_process_are_left_out(tmp_path: Path) -> None:
    shown = work(tmp_path, 0, ready=1, count=0)
    assert not [line for line in shown if line.startswith(("process_", "python_gc_"))]
    assert any(line.startswith("python_info") for line in shown)


def test_shared_metrics_are_openmetrics_too(tmp_path: Path) -> None:
    shown = work(tmp_path, 0, ready=1, count=2, accept="application/openmetrics-text")
    assert f"{REQUESTS} 2.0" in shown
    assert shown[-1] == "# EOF"


# -- in one process -------------------------------------------------------------------------------------

IRIS = {"model_name": "iris"}


def test_one_observation_is_shown_with_kserves_buckets_and_with_finer_ones() -> None:
    metrics = Metrics()
    for seconds in (0.00003, 0.0003, 0.04, 20):
        metrics.of("iris").predict.observe(seconds)
    sample = metrics.registry.get_sample_value
    for name, bounds in (
        ("request_predict_seconds", {"0.005": 2, "0.025": 2, "0.05": 3, "10.0": 3, "+Inf": 4}),
        ("fairlead_compute_seconds", {"1e-05": 0, "5e-05": 1, "0.00025": 1, "0.0005": 2, "0.05": 3, "+Inf": 4}),
    ):
        assert {bound: sample(f"{name}_bucket", IRIS | {"le": bound}) for bound in bounds} == bounds
        assert sample(f"{name}_count", IRIS) == 4
        assert sample(f"{name}_sum", IRIS) == 20.04033
    assert sample("request_predict_seconds_bucket", IRIS | {"le": "0.0005"}) is None


def test_a_value_on_a_bound_is_within_it_as_prometheus_has_it() -> None:
    metrics = Metrics()
    metrics.of("iris").batch.observe(8)
    assert metrics.registry.get_sample_value("fairlead_batch_rows_bucket", IRIS | {"le": "8.0"}) == 1
    assert metrics.registry.get_sample_value("fairlead_batch_rows_bucket", IRIS | {"le": "4.0"}) == 0


def test_gauges_are_asked_when_they_are_read_and_two_loads_of_a_model_are_added() -> None:
    metrics = Metrics()
    numbers = {"old": 3, "new": 1}
    leave = metrics.of("iris").watch(in_flight=lambda: numbers["old"], waiting=lambda: 0)
    metrics.of("iris").watch(in_flight=lambda: numbers["new"], waiting=lambda: numbers["new"])
    sample = metrics.registry.get_sample_value
    assert sample("fairlead_requests_in_flight", IRIS) == 4
    numbers["new"] = 5
    leave()
    leave()  # once is enough
    assert sample("fairlead_requests_in_flight", IRIS) == 5
    assert sample("fairlead_requests_waiting", IRIS) == 5


def test_answers_are_counted_by_the_codes_of_http_and_of_grpc() -> None:
    metrics = Metrics()
    metrics.of("iris").count("v2", 429)
    metrics.of("iris").count("grpc", "RESOURCE_EXHAUSTED")
    metrics.of("iris").drop(Drop.REFUSED)
    sample = metrics.registry.get_sample_value
    assert sample("fairlead_requests_total", IRIS | {"protocol": "v2", "code": "429"}) == 1
    assert sample("fairlead_requests_total", IRIS | {"protocol": "grpc", "code": "RESOURCE_EXHAUSTED"}) == 1
    assert sample("fairlead_dropped_requests_total", IRIS | {"reason": "refused"}) == 1


def test_nothing_is_left_of_a_model_that_is_removed_and_it_begins_anew() -> None:
    metrics = Metrics()
    iris = metrics.of("iris")
    assert metrics.of("iris") is iris
    leave = iris.watch(in_flight=lambda: 1, waiting=lambda: 0)
    for observer in (iris.preprocess, iris.queue, iris.batch, iris.calls, iris.predict, iris.explain):
        observer.observe(1)
    iris.count("v1", 200)
    iris.drop(Drop.EXPIRED)
    iris.ready.set(1)
    assert "iris" in exposed(metrics)
    metrics.remove("iris")
    metrics.remove("iris")
    leave()
    iris.predict.observe(1)  # a call that was under way
    assert "iris" not in exposed(metrics)
    metrics.of("iris").predict.observe(1)
    assert metrics.registry.get_sample_value("request_predict_seconds_count", IRIS) == 1


def test_no_observation_of_several_threads_is_lost() -> None:
    metrics = Metrics()
    queue = metrics.of("iris").queue

    def observe() -> None:
        for _ in range(5000):
            queue.observe(1)

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.registry.get_sample_value("fairlead_queue_seconds_sum", IRIS) == 20_000


def exposed(metrics: Metrics) -> str:
    return metrics.expose("")[0].decode()


# -- in several processes -------------------------------------------------------------------------------


def test_shared_histograms_have_all_their_names_and_gauges_are_added(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from fairlead.engine.metrics import Metrics, Share
metrics = Metrics(Share(Path(sys.argv[1]), int(sys.argv[2])))
iris = metrics.of("iris")
iris.preprocess.observe(0.0003)
iris.watch(in_flight=lambda: 2, waiting=lambda: 1)
print(metrics.expose("")[0].decode())
metrics.remove("iris")
assert 'fairlead_requests_in_flight{model_name="iris"}' in metrics.expose("")[0].decode()
metrics.of("iris").preprocess.observe(0.0003)
"""
    shown = ""
    for slot in ("0", "1"):
        command = [sys.executable, "-W", "error", "-c", script, str(tmp_path), slot]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = shown.splitlines()
    assert 'fairlead_decode_seconds_bucket{le="0.0005",model_name="iris"} 3.0' in lines
    assert 'fairlead_decode_seconds_bucket{le="0.00025",model_name="iris"} 0.0' in lines
    assert 'request_preprocess_seconds_bucket{le="0.005",model_name="iris"} 3.0' in lines
    assert not [line for line in lines if 'request_preprocess_seconds_bucket{le="0.0005"' in line]
    assert 'request_preprocess_seconds_count{model_name="iris"} 3.0' in lines
    # The first process has taken its model out of service.
    assert 'fairlead_requests_in_flight{model_name="iris"} 2.0' in lines
    assert shown.count("# TYPE fairlead_decode_seconds histogram") == 1
