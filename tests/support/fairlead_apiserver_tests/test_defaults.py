from __future__ import annotations

from typing import Any

import pytest

from fairlead_apiserver.cluster import Cluster, Refused
from fairlead_apiserver_tests.manifests import APPS, Manifest, config, deployment, service


def test_a_deployment_has_its_defaults(cluster: Cluster, namespace: str) -> None:
    spec = cluster.create(deployment(namespace))["spec"]
    template = spec.pop("template")
    assert spec == {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "one"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }
    (container,) = template["spec"].pop("containers")
    assert template["spec"] == {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }
    assert container == {
        "name": "main",
        "image": "registry.invalid/main:1",
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
        ("host:5000/a", "Always"),
        (f"a@sha256:{'0' * 64}", "IfNotPresent"),
    ],
)
def test_the_tag_of_an_image_decides_when_it_is_pulled(
    cluster: Cluster, namespace: str, image: str, policy: str
) -> None:
    given = deployment(namespace, replicas=0)
    given["spec"]["template"]["spec"]["containers"][0]["image"] = image
    created = cluster.create(given)
    assert created["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_a_pod_template_has_its_defaults(cluster: Cluster, namespace: str) -> None:
    given = deployment(namespace, replicas=0)
    pod = given["spec"]["template"]["spec"]
    pod["serviceAccountName"] = "robot"
    pod["volumes"] = [
        {"name": "a"},
        {"name": "b", "configMap": {"name": "b"}},
        {"name": "c", "secret": {"secretName": "c"}},
        {"name": "d", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    ]
    pod["containers"][0] |= {
        "readinessProbe": {"httpGet": {"port": 80}},
        "livenessProbe": {"tcpSocket": {"port": 80}, "initialDelaySeconds": 0},
        "env": [
            {"name": "A", "value": ""},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "volumeMounts": [{"name": "a", "mountPath": "/a", "readOnly": False}],
    }
    pod = cluster.create(given)["spec"]["template"]["spec"]
    assert pod["serviceAccount"] == "robot"
    assert pod["volumes"] == [
        {"name": "a", "emptyDir": {}},
        {"name": "b", "configMap": {"name": "b", "defaultMode": 420}},
        {"name": "c", "secret": {"secretName": "c", "defaultMode": 420}},
        {
            "name": "d",
            "projected": {
                "sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}],
                "defaultMode": 420,
            },
        },
    ]
    times = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    container = pod["containers"][0]
    assert container["readinessProbe"] == {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, **times}
    assert container["livenessProbe"] == {"tcpSocket": {"port": 80}, **times}
    assert container["env"] == [
        {"name": "A"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}},
    ]
    assert container["volumeMounts"] == [{"name": "a", "mountPath": "/a"}]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1500m", "1500m"),
        (2, "2"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000", "1k"),
        ("100Mi", "100Mi"),
        ("1e3", "1e3"),
        ("512Ki", "512Ki"),
        ("0", "0"),
    ],
)
def test_amounts_have_one_form(cluster: Cluster, namespace: str, given: Any, written: str) -> None:
    wanted = deployment(namespace, replicas=0)
    wanted["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": given}}
    created = cluster.create(wanted, dryRun="All")
    assert created["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": {"memory": written}}


def test_an_amount_that_is_none_is_refused(cluster: Cluster, namespace: str) -> None:
    wanted = deployment(namespace, replicas=0)
    wanted["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "much"}}
    with pytest.raises(Refused, match="quantities must match the regular expression") as refused:
        cluster.create(wanted)
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")


def test_a_service_gets_an_address(cluster: Cluster, namespace: str) -> None:
    spec = cluster.create(service(namespace))["spec"]
    address = spec.pop("clusterIP")
    assert spec == {
        "type": "ClusterIP",
        "selector": {"app": "one"},
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "clusterIPs": [address],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
    }


def test_a_service_keeps_its_address(cluster: Cluster, namespace: str) -> None:
    address = cluster.create(service(namespace))["spec"]["clusterIP"]
    updated = cluster.update(service(namespace, ports=[{"port": 81}]))
    assert (updated["spec"]["clusterIP"], updated["spec"]["ports"][0]["port"]) == (address, 81)
    with pytest.raises(Refused, match="may not change once set") as refused:
        cluster.patch("v1", "Service", "one", {"spec": {"clusterIP": "10.96.255.7"}}, namespace)
    assert refused.value.code == 422


def test_a_headless_service_has_no_address(cluster: Cluster, namespace: str) -> None:
    spec = cluster.create(service(namespace, clusterIP="None"))["spec"]
    assert (spec["clusterIP"], spec["clusterIPs"]) == ("None", ["None"])


def test_an_autoscaler_has_its_defaults(cluster: Cluster, namespace: str) -> None:
    target = {"apiVersion": APPS, "kind": "Deployment", "name": "one"}
    given: Manifest = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3},
    }
    spec = cluster.create(given)["spec"]
    assert spec == {
        "scaleTargetRef": target,
        "minReplicas": 1,
        "maxReplicas": 3,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }
        ],
    }
    given["spec"]["behavior"] = {"scaleDown": {"stabilizationWindowSeconds": 30}}
    behavior = cluster.apply(given, force=True)["spec"]["behavior"]
    assert behavior["scaleDown"] == {
        "stabilizationWindowSeconds": 30,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    }
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert len(behavior["scaleUp"]["policies"]) == 2


def test_the_text_of_a_secret_becomes_data(cluster: Cluster, namespace: str) -> None:
    head = {"name": "one", "namespace": namespace}
    given = {"apiVersion": "v1", "kind": "Secret", "metadata": head, "stringData": {"a": "word"}, "data": {"b": "Yg=="}}
    created = cluster.create(given)
    assert created["data"] == {"a": "d29yZA==", "b": "Yg=="}
    assert created["type"] == "Opaque"
    assert "stringData" not in created


def test_nothing_is_kept_of_empty_maps_and_lists(cluster: Cluster, namespace: str) -> None:
    created = cluster.create(config(namespace, labels={}, annotations={}, finalizers=[], ownerReferences=[]))
    assert {"labels", "annotations", "finalizers", "ownerReferences"}.isdisjoint(created["metadata"])


def test_the_selector_of_a_deployment_cannot_be_changed(cluster: Cluster, namespace: str) -> None:
    cluster.create(deployment(namespace, replicas=0))
    other = deployment(namespace, replicas=0)
    other["spec"]["selector"]["matchLabels"] = {"app": "two"}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "two"}
    with pytest.raises(Refused, match="field is immutable") as refused:
        cluster.update(other)
    assert refused.value.code == 422
    assert refused.value.causes[0]["field"] == "spec.selector"


def test_the_selector_of_a_deployment_finds_its_own_pods(cluster: Cluster, namespace: str) -> None:
    given = deployment(namespace)
    given["spec"]["template"]["metadata"]["labels"] = {"app": "two"}
    with pytest.raises(Refused, match="`selector` does not match template `labels`") as refused:
        cluster.create(given)
    assert refused.value.causes[0]["field"] == "spec.template.metadata.labels"


def test_every_wrong_field_is_named(cluster: Cluster, namespace: str) -> None:
    given = deployment(namespace, replicas=-1)
    container = given["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": "none", "mountPath": "/a"}]
    container["image"] = ""
    with pytest.raises(Refused) as refused:
        cluster.create(given)
    prefix = "spec.template.spec.containers[0]"
    assert {(each["field"], each["reason"]) for each in refused.value.causes} == {
        ("spec.replicas", "FieldValueInvalid"),
        (f"{prefix}.image", "FieldValueRequired"),
        (f"{prefix}.volumeMounts[0].name", "FieldValueNotFound"),
    }


def test_a_field_of_the_wrong_type_is_refused(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused, match="cannot be handled as a Deployment") as refused:
        cluster.create(deployment(namespace, replicas="many"))
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")


def test_a_field_that_is_not_known_is_warned_of(cluster: Cluster, namespace: str) -> None:
    created = cluster.create(deployment(namespace, replicas=0, unheard=1))
    assert cluster.warnings == ['unknown field "spec.unheard"']
    assert "unheard" not in created["spec"]


def test_a_field_that_is_not_known_is_refused_where_that_is_asked_for(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused, match=r'strict decoding error: unknown field "spec\.unheard"') as refused:
        cluster.create(deployment(namespace, unheard=1), fieldValidation="Strict")
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")
    cluster.create(deployment(namespace, replicas=0, unheard=1), fieldValidation="Ignore")
    assert cluster.warnings == []
