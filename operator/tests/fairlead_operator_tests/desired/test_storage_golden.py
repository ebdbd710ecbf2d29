"""What artefacts need in a pod, compared with files that a person has read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead_operator_tests import golden
from fairlead_operator_tests.desired.pods_of_storage import account, configured, container, predictor, wired

GOLDEN = Path(__file__).parent / "golden" / "storage"
ML = account("ml", "minio", "hub", pulls=("registry",))
ROLE = {
    "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/models",
    "serving.kserve.io/s3-region": "eu-west-1",
    "serving.kserve.io/s3-cabundle-configmap": "authorities",
    "example.com/owner": "somebody",
}
SEVERAL = """{predictor: {storageUris: [
  {uri: 's3://models/base', mountPath: /mnt/models/base},
  {uri: 'hf://org/adapter', mountPath: /mnt/models/adapter},
  {uri: 'pvc://claim/labels', mountPath: /mnt/models/labels},
  {uri: 'pvc://claim/words/en', mountPath: /mnt/words},
  {uri: 'oci+native://registry.example/tokens:1', mountPath: /mnt/tokens}],
  model: {modelFormat: {name: sklearn}}}}"""
CARS = """{predictor: {securityContext: {runAsUser: 7}, storageUris: [
  {uri: 'oci://registry.example/a:1', mountPath: /mnt/a/model},
  {uri: 'oci://registry.example/b:1', mountPath: "/mnt/b/it's"}], model: {modelFormat: {name: sklearn}}}}"""

CASES: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "nothing-named": (predictor("storageUri: 'https://models.example/iris.joblib'"), (), {}),
    "account": (predictor("storageUri: 's3://models/iris'", "serviceAccountName: ml,"), (ML,), {}),
    "annotation": (
        predictor("storageUri: 's3://models/iris'", "serviceAccountName: ml,"),
        (ML,),
        {"annotations": {"serving.kserve.io/storageSecretName": "mine"}},
    ),
    "role": (
        predictor("storageUri: 's3://models/iris'", "serviceAccountName: ml,"),
        (account("ml", annotations=ROLE),),
        {"config": configured(ca_bundle_config_map="company-authorities")},
    ),
    "storage-key": (predictor("storage: {key: minio, path: /iris/1}"), (), {}),
    "storage-parameters": (
        predictor("storage: {path: iris, parameters: {type: s3, bucket: models, cabundle_configmap: mine}}"),
        (),
        {},
    ),
    "claim": (predictor("storageUri: 'pvc://claim/iris/1'"), (), {}),
    "several": (SEVERAL, (), {}),
    "image-modelcar": (predictor("storageUri: 'oci://registry.example/iris:1'"), (), {}),
    "image-modelcar-before-sidecars": (
        predictor("storageUri: 'oci://registry.example/iris:1'"),
        (),
        {"version": (1, 28)},
    ),
    "image-modelcars": (CARS, (), {"pod": "{securityContext: {runAsUser: 7}, containers: [{name: kserve-container}]}"}),
    "image-native": (
        predictor("storageUri: 'oci://registry.example/iris:1'"),
        (),
        {"config": configured(oci_mode="native")},
    ),
    "image-fetch": (
        predictor("storageUri: 'oci://registry.example/iris:1'", "serviceAccountName: ml,"),
        (ML,),
        {"config": configured(oci_mode="fetch", oci_insecure=True)},
    ),
    "container-of-a-platform": (
        predictor("storageUri: 's3://models/iris'", "serviceAccountName: ml,"),
        (account("ml", "minio", annotations=ROLE),),
        {
            "storage_containers": (
                container(
                    "fast",
                    "s3://",
                    container={
                        "name": "fast",
                        "image": "example/fetch:1",
                        "env": [{"name": "HF_XET_HIGH_PERFORMANCE", "value": "0"}],
                        "resources": {"limits": {"memory": "4Gi"}},
                    },
                ),
            )
        },
    ),
    "container-of-a-platform-with-files": (
        predictor("storageUri: 'gs://models/iris'"),
        (),
        {
            "annotations": {"serving.kserve.io/storageSecretName": "mine"},
            "storage_containers": (container("clouds", "gs://"),),
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_pod_has_what_its_artefacts_need(name: str) -> None:
    spec, accounts, more = CASES[name]
    pod = wired(spec, *accounts, **more)
    for each in pod["containers"]:
        each.setdefault("image", "example/server:1")
    golden.check(
        GOLDEN / f"{name}.yaml", [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "iris"}, "spec": pod}]
    )
