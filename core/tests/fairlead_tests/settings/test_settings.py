"""The settings of a server: promised defaults, flags, and the environment."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fairlead import errors
from fairlead.contracts.unpickling import UnpicklingMode
from fairlead.settings import ServerSettings, options


def test_the_promised_defaults() -> None:
    settings = ServerSettings()
    promised = {
        "host": "127.0.0.1",
        "http_port": 8080,
        "enable_grpc": True,
        "grpc_port": 8081,
        "max_threads": 4,
        "grpc_max_receive_message_length": 8388608,
        "grpc_max_send_message_length": 8388608,
        "grpc_max_concurrent_calls": 2048,
        "grpc_max_connection_age": 10.0,
        "grpc_tls_cert": "",
        "grpc_tls_key": "",
        "grpc_tls_client_ca": "",
        "event_loop": "auto",
        "timeout_keep_alive": 65,
        "header_timeout": 10.0,
        "body_timeout": 60.0,
        "max_header_bytes": 65536,
        "max_body_bytes": 67108864,
        "max_body_bytes_in_flight": 1073741824,
        "request_timeout": 60.0,
        "sample_timeout": 60.0,
        "max_queue_size": 1024,
        "max_queue_delay": 1.0,
        "max_batch_size": 64,
        "max_batch_delay": 0.0,
        "explain_max_calls": 1000,
        "load_on_demand": False,
        "max_loads": 2,
        "model_memory_budget": 0,
        "drain_delay": 0.0,
        "drain_timeout": 30.0,
        "enable_repository_api": True,
        "enable_docs_url": False,
        "binary_output_inherits": False,
        "access_log": False,
        "log_format": "auto",
        "log_level": "info",
    }
    assert {name: getattr(settings, name) for name in promised} == promised
    assert settings.unpickling.mode is UnpicklingMode.ALLOW
    assert {option.name for option in options()} == {*promised, "unpickling"}


def test_a_pod_listens_on_every_address_and_gives_its_cluster_time_to_stop_routing() -> None:
    code = "from fairlead.settings import ServerSettings as S; print(S().host, S().drain_delay)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={"KUBERNETES_SERVICE_HOST": "x"}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0.0.0.0", "5.0"]


def test_every_setting_has_a_flag_in_both_spellings_a_variable_and_a_sentence() -> None:
    for option in options():
        assert option.flags[0] == f"--{option.name.replace('_', '-')}"
        assert f"--{option.name}" in option.flags
        assert option.variable == f"FAIRLEAD_{option.name.upper()}"
        assert len(option.help.split()) > 1


def test_no_flag_means_two_settings() -> None:
    flags = [flag for option in options() for flag in option.flags]
    assert len(flags) == len(set(flags))


def test_the_environment_is_read_and_what_is_given_wins() -> None:
    environ = {"FAIRLEAD_HTTP_PORT": "9000", "FAIRLEAD_ACCESS_LOG": "yes", "FAIRLEAD_UNPICKLING": "deny"}
    settings = ServerSettings.from_environment(environ, http_port=9001)
    assert (settings.http_port, settings.access_log) == (9001, True)
    assert settings.unpickling.mode is UnpicklingMode.DENY


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("FAIRLEAD_HTTP_PORT", "many", "FAIRLEAD_HTTP_PORT: 'many' cannot be read. Write a whole number."),
        ("FAIRLEAD_HTTP_PORT", "-1", "FAIRLEAD_HTTP_PORT: '-1' is negative"),
        (
            "FAIRLEAD_ACCESS_LOG",
            "perhaps",
            "FAIRLEAD_ACCESS_LOG: 'perhaps' cannot be read. Write true or false.",
        ),
        ("FAIRLEAD_LOG_FORMAT", "xml", "FAIRLEAD_LOG_FORMAT: 'xml' is not one of auto, text, json"),
        ("FAIRLEAD_UNPICKLING", "sha256:12", "is not an unpickling policy"),
        ("FAIRLEAD_MAX_BATCH_SIZE", "0", "--max-batch-size: at least 1"),
        ("FAIRLEAD_MAX_QUEUE_SIZE", "0", "--max-queue-size: at least 1"),
        ("FAIRLEAD_REQUEST_TIMEOUT", "nan", "FAIRLEAD_REQUEST_TIMEOUT: 'nan'"),
        ("FAIRLEAD_HTTP_PORT", "65536", "--http-port: "),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(variable: str, value: str, text: str) -> None:
    with pytest.raises(errors.ConfigurationError) as raised:
        ServerSettings.from_environment({variable: value})
    assert text in str(raised.value)
