"""KServe's agent beside components that are logged or batched."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.resolve.secrets import Vault
from fairlead_operator.configuration.model import Logger, OperatorConfig, Resources, Sidecar
from fairlead_operator_tests.desired import services

WEB = [{"name": "web", "containerPort": 8090}]


def pod(fields: dict[str, Any], container: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The PodSpec of a custom predictor with these fields."""
    spec = {"predictor": {"containers": [{"image": "x", **(container or {})}], **fields}}
    annotations = more.pop("annotations", {})
    desired = services.rendered(services.isvc(json.dumps(spec), annotations=annotations), **more)
    found: dict[str, Any] = services.found(desired, "Deployment")["spec"]["template"]["spec"]
    return found


def agent(fields: dict[str, Any], container: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The agent beside it."""
    [_, found] = pod(fields, container, **more)["containers"]
    assert found["name"] == "agent"
    return dict(found)


def option(container: dict[str, Any], flag: str) -> str | None:
    args: list[str] = container["args"]
    return args[args.index(flag) + 1] if flag in args else None


def variable(container: dict[str, Any], name: str) -> Any:
    return next((each.get("value") for each in container["env"] if each["name"] == name), None)


def test_a_component_that_is_neither_logged_nor_batched_has_none() -> None:
    assert [each["name"] for each in pod({})["containers"]] == ["kserve-container"]


def test_the_batcher_is_told_what_its_user_says_and_no_more() -> None:
    assert agent({"batcher": {}})["args"] == ["--enable-batcher", "--component-port", "8080"]
    found = agent({"batcher": {"maxBatchSize": 4, "maxLatency": 20}}, {"ports": WEB})["args"]
    assert found == ["--enable-batcher", "--max-batchsize", "4", "--max-latency", "20", "--component-port", "8090"]


def test_its_image_and_resources_are_those_of_the_configuration() -> None:
    config = OperatorConfig(agent=Sidecar(image="example/agent:3", resources=Resources(cpu_limit="")))
    found = agent({"batcher": {}}, config=config)
    assert found["image"] == "example/agent:3"
    assert found["resources"] == {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"memory": "1Gi"}}


def test_it_is_confined_as_the_container_that_it_stands_before() -> None:
    confined = {"runAsUser": 7}
    assert agent({"batcher": {}}, {"securityContext": confined})["securityContext"] == confined


@pytest.mark.parametrize(
    ("probe", "asked", "path"),
    [
        (None, {"tcpSocket": {"port": 8090, "host": "127.0.0.1"}}, "/"),
        (
            {"httpGet": {"path": "/ok", "port": "web", "scheme": "HTTPS"}},
            {"httpGet": {"path": "/ok", "port": 8090, "scheme": "HTTPS", "host": "127.0.0.1"}},
            "/ok",
        ),
        ({"tcpSocket": {"port": 9}}, {"tcpSocket": {"port": 9, "host": "127.0.0.1"}}, "/"),
        ({"exec": {"command": ["ok"]}}, {"tcpSocket": {"port": 8090, "host": "127.0.0.1"}}, "/"),
        ({"grpc": {"port": 9}}, {"tcpSocket": {"port": 8090, "host": "127.0.0.1"}}, "/"),
    ],
)
def test_it_always_knows_how_to_ask_its_component(probe: Any, asked: dict[str, Any], path: str) -> None:
    container = {"ports": WEB, **({"readinessProbe": {**probe, "periodSeconds": 4}} if probe else {})}
    found = agent({"batcher": {}}, container)
    told = json.loads(variable(found, "SERVING_READINESS_PROBE"))
    assert {name: told[name] for name in asked} == asked
    assert told["periodSeconds"] == (4 if probe else 10)
    question = found["readinessProbe"]["httpGet"]
    assert (question["path"], question["port"]) == (path, 9081)
    assert question["httpHeaders"] == [{"name": "K-Network-Probe", "value": "queue"}]


def test_a_probe_that_it_cannot_ask_stays_with_its_container() -> None:
    probe = {"exec": {"command": ["ok"]}}
    assert pod({"batcher": {}}, {"readinessProbe": probe})["containers"][0]["readinessProbe"] == probe


def test_events_name_the_pod_that_they_come_from() -> None:
    found = agent({"logger": {"mode": "all"}})
    assert option(found, "--source-uri") == "$(POD_NAME)"
    [name] = [each for each in found["env"] if each["name"] == "POD_NAME"]
    assert name["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_what_a_logger_leaves_open_the_configuration_says() -> None:
    config = OperatorConfig(
        logger=Logger(
            default_url="http://all", marshaller_url="http://m", batch_size=3, batch_interval="1m", skip_verify=True
        )
    )
    silent = agent({"logger": {"mode": "response"}}, config=config)
    said = agent(
        {"logger": {"mode": "all", "url": "http://mine", "marshallerUrl": "http://n", "batchSize": 7}}, config=config
    )
    flags = ("--log-url", "--log-mode", "--log-marshaller-url", "--log-batch-size", "--log-batch-interval")
    assert [option(silent, flag) for flag in flags] == ["http://all", "response", "http://m", "3", "1m"]
    assert [option(said, flag) for flag in flags] == ["http://mine", "all", "http://n", "7", "1m"]
    assert "--logger-tls-skip-verify" in silent["args"]


def test_each_component_is_logged_as_it_says_itself() -> None:
    text = """
        predictor:
          model: {modelFormat: {name: lightgbm}, storageUri: 's3://models/iris'}
          logger: {mode: all, url: 'http://of-predictor'}
        transformer:
          containers: [{image: x}]
          logger: {mode: request, url: 'http://of-transformer', batchSize: 9}
    """
    desired = services.rendered(services.isvc(text))
    found = {
        kind: services.found(desired, "Deployment", f"iris-{kind}")["spec"]["template"]["spec"]["containers"][-1]
        for kind in ("predictor", "transformer")
    }
    assert option(found["predictor"], "--log-url") == "http://of-predictor"
    assert option(found["predictor"], "--log-batch-size") is None
    assert option(found["transformer"], "--log-url") == "http://of-transformer"
    assert option(found["transformer"], "--log-batch-size") == "9"
    assert option(found["transformer"], "--component") == "transformer"


def test_annotations_are_logged_with_their_values_and_what_looks_like_a_variable_is_none() -> None:
    logger = {"mode": "all", "metadataAnnotations": ["example.com/a", "example.com/none", "example.com/b"]}
    found = agent({"logger": logger}, annotations={"example.com/a": "$(HOME)", "example.com/b": "2"})
    assert option(found, "--metadata-annotations") == "example.com/a=$$(HOME),example.com/b=2"


def test_authorities_come_from_the_configured_config_map() -> None:
    config = OperatorConfig(logger=Logger(ca_bundle="authorities", ca_cert_file="ours.crt"))
    found = pod({"logger": {"mode": "all"}}, config=config)
    container = found["containers"][-1]
    assert option(container, "--logger-ca-cert-file") == "ours.crt"
    assert container["volumeMounts"] == [{"name": "agent-ca-bundle", "mountPath": "/etc/tls/logger", "readOnly": True}]
    assert found["volumes"] == [{"name": "agent-ca-bundle", "configMap": {"name": "authorities", "optional": True}}]
    assert "volumes" not in pod({"batcher": {}}, config=config)


@pytest.mark.parametrize("account", ["logger-sa", "mine"])
def test_where_payloads_are_kept_the_agent_has_the_secrets_of_its_own_account(account: str) -> None:
    declared = {
        "kind": "ServiceAccount",
        "metadata": {"name": account, "namespace": "models"},
        "secrets": [{"name": "bucket"}],
    }
    storage = {"path": "/logs", "parameters": {"format": "parquet"}, "key": "credentials"}
    own = {"serviceAccountName": account} if account != "logger-sa" else {}
    known = {"vault": Vault.of([declared])}
    kept = agent({"logger": {"mode": "all", "url": "s3://bucket", "storage": {**storage, **own}}}, known=known)
    sent = agent({"logger": {"mode": "all", "url": "http://sink"}}, known=known)
    assert (option(kept, "--log-store-path"), option(kept, "--log-store-format")) == ("/logs", "parquet")
    assert kept["envFrom"] == [{"secretRef": {"name": "bucket", "optional": True}}]
    assert "envFrom" not in sent
