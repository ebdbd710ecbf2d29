"""What OpenTelemetry's environment asks for, and what is said of values that cannot be followed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fairlead import errors
from fairlead.tracing import environment

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "iris", "OTEL_TRACES_SAMPLER": "always_on"},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "true"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    ],
)
def test_nothing_is_traced_unless_a_place_for_traces_is_named(environ: dict[str, str]) -> None:
    assert environment.read(environ) is None


@pytest.mark.parametrize(
    ("environ", "exporters"),
    [
        (ENDPOINT, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector/v1/traces"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "console"}, ("console",)),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ("otlp", "console")),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "false"}, ("otlp",)),
    ],
)
def test_exporters_are_those_that_are_named(environ: dict[str, str], exporters: tuple[str, ...]) -> None:
    found = environment.read(environ)
    assert found is not None
    assert found.exporters == exporters
    assert found.propagators is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_EXPORTER", "otlp,none"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "inf"),
        ("OTEL_PROPAGATORS", "tracecontext,nonesuch"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=f"^{name}: "):
        environment.read({**ENDPOINT, name: value})


@pytest.mark.parametrize("share", ["half", "1.5", "-1", "nan"])
def test_a_share_of_the_traces_is_a_number_from_0_to_1(share: str) -> None:
    sampler = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": share}
    with pytest.raises(errors.ConfigurationError, match=r"^OTEL_TRACES_SAMPLER_ARG: "):
        environment.read({**ENDPOINT, **sampler})


def test_propagators_are_checked_where_nothing_is_traced_because_fastapi_loads_them() -> None:
    with pytest.raises(errors.ConfigurationError, match="nonesuch"):
        environment.read({"OTEL_PROPAGATORS": "nonesuch"})


def python(code: str, **environ: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    return done.stdout


def test_without_traces_nothing_of_opentelemetry_is_imported() -> None:
    code = """
import sys
import fairlead.engine.engine, fairlead.engine.accesslog
from fairlead.tracing.tracer import Tracing
print(Tracing.from_environment(), [name for name in sys.modules if name.startswith("opentelemetry")])
"""
    assert python(code) == "None []\n"


def test_traces_without_opentelemetry_are_an_error_with_the_remedy() -> None:
    code = """
import sys
sys.modules["opentelemetry.sdk"] = None  # as if it were not installed
from fairlead import errors
from fairlead.tracing.tracer import Tracing
try:
    Tracing.from_environment()
except errors.ConfigurationError as error:
    print(error.reason, error.remedy, sep="\\n")
"""
    reason, remedy = python(code, **ENDPOINT).splitlines()
    assert reason.startswith("OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, and OpenTelemetry cannot be imported: ")
    assert "pip install 'fairlead[tracing]'" in remedy
