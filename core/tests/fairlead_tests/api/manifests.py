"""Manifests of every kind, as people write them."""

from __future__ import annotations

from typing import Any, Final

import yaml

__all__ = ["MANIFESTS", "iris", "plain"]

SKLEARN: Final = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: iris
  namespace: flowers
  labels: {team: botany}
  annotations:
    serving.kserve.io/deploymentMode: Standard
spec:
  predictor:
    minReplicas: 1
    maxReplicas: 3
    scaleTarget: 80
    scaleMetric: cpu
    timeout: 60
    serviceAccountName: reader
    tolerations:
    - {key: nvidia.com/gpu, operator: Exists}
    model:
      modelFormat: {name: sklearn, version: "1"}
      protocolVersion: v2
      runtime: kserve-sklearnserver
      storageUri: gs://flowers/iris
      resources:
        requests: {cpu: 100m, memory: 256Mi}
        limits: {cpu: 1, memory: 0.5Gi}
      env:
      - {name: THREADS, value: "2"}
"""

SHORTHAND: Final = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: digits}
spec:
  predictor:
    canaryTrafficPercent: 10
    onnx:
      storage: {key: minio, path: digits/model.onnx, schemaPath: null, parameters: {bucket: models}}
      confidential: {enabled: true, resourceId: "kbs:///models/key/digits"}
    logger: {mode: all, url: "http://sink", metadataHeaders: [x-tenant]}
    batcher: {maxBatchSize: 32, maxLatency: 500}
"""

TRANSFORMER: Final = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: faces}
spec:
  predictor:
    containers:
    - name: kserve-container
      image: registry.example/faces:1.4
      command: [python, -m, faces]
      ports: [{containerPort: 8080, protocol: TCP}]
      volumeMounts: [{name: cache, mountPath: /cache}]
      someFieldOfTomorrow: {deep: [1, 2.5, null, true, {x: ~}]}
    volumes:
    - name: cache
      emptyDir: {medium: Memory, sizeLimit: 1Gi}
  transformer:
    minReplicas: 0
    containerConcurrency: 4
    containers:
    - image: registry.example/faces-transformer:1.4
      args: [--workers, "2"]
  explainer:
    art:
      type: SquareAttack
      storageUri: s3://explainers/faces
      config: {nb_classes: "10"}
"""

CANARY: Final = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: prices
  annotations: {serving.kserve.io/deploymentMode: Standard}
spec:
  predictor:
    name: v1
    model: {modelFormat: {name: xgboost}, storageUri: "s3://prices/1"}
  canary:
  - trafficPercent: 20
    predictor:
      name: v2
      minReplicas: 1
      model: {modelFormat: {name: xgboost}, storageUri: "s3://prices/2"}
"""

MULTI_NODE: Final = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: llama
  annotations: {serving.kserve.io/autoscalerClass: none}
spec:
  predictor:
    model:
      modelFormat: {name: huggingface}
      storageUri: pvc://models/llama
    workerSpec:
      pipelineParallelSize: 2
      tensorParallelSize: 4
      nodeSelector: {accelerator: h200}
      hostIPC: true
      containers:
      - name: worker-container
        resources: {limits: {nvidia.com/gpu: 4}}
"""

STORAGE_URIS: Final = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: assistant}
spec:
  predictor:
    storageContainerName: fast
    storageUris:
    - {uri: "hf://org/base"}
    - {uri: "hf://org/adapter", mountPath: /mnt/adapter}
    autoScaling:
      metrics:
      - type: Resource
        resource: {name: memory, target: {type: AverageValue, averageValue: 512Mi}}
      - type: External
        external:
          metric: {backend: prometheus, serverAddress: "http://metrics:9090", query: "sum(rate(x[1m]))", namespace: ml}
          authenticationRef: {authModes: bearer, authenticationRef: {name: prometheus}}
          target: {type: Value, value: 100.50}
      - type: PodMetric
        podmetric:
          metric: {backend: opentelemetry, metricNames: [queue], query: avg(queue), operationOverTime: avg}
          target: {type: Value, value: 4}
      behavior: {scaleDown: {stabilizationWindowSeconds: 60}}
    model: {modelFormat: {name: vLLM}}
""".replace("100.50", '"100.50"')

STATUS: Final = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: stored
  creationTimestamp: 2026-05-04T03:02:01Z
  generation: 2
  managedFields: [{manager: kubectl, operation: Apply}]
spec:
  predictor: {sklearn: {storageUri: "gs://x/y"}}
status:
  observedGeneration: 2
  deploymentMode: Standard
  url: http://stored.default.example.com
  address: {url: "http://stored.default.svc.cluster.local", name: http}
  conditions:
  - {type: Ready, status: "True", lastTransitionTime: 2026-05-04T03:03:00Z}
  - {type: PredictorReady, status: "True", severity: Info}
  components:
    predictor:
      latestReadyRevision: stored-predictor-00002
      traffic:
      - {latestRevision: true, percent: 10, revisionName: stored-predictor-00002}
      - {latestRevision: false, percent: 90, revisionName: stored-predictor-00001, tag: prev}
  modelStatus:
    transitionStatus: BlockedByFailedLoad
    states: {activeModelState: Loaded, targetModelState: FailedToLoad}
    copies: {failedCopies: 0, totalCopies: 1}
    lastFailureInfo: {reason: ModelLoadFailed, message: no such file, exitCode: 1}
  clusterServingRuntimeName: kserve-sklearnserver
  aFieldOfTomorrow: {kept: true}
"""

RUNTIME: Final = """\
apiVersion: serving.kserve.io/v1alpha1
kind: ServingRuntime
metadata:
  name: sklearn
  namespace: flowers
spec:
  annotations: {prometheus.kserve.io/port: "8080"}
  supportedModelFormats:
  - {name: sklearn, version: "1", autoSelect: true, priority: 1}
  protocolVersions: [v1, v2]
  containers:
  - name: kserve-container
    image: registry.example/sklearn:1
    args: ["--model_name={{.Name}}", --model_dir=/mnt/models]
  imagePullSecrets: [{name: registry}]
"""

CLUSTER_RUNTIME: Final = """\
apiVersion: serving.kserve.io/v1alpha1
kind: ClusterServingRuntime
metadata: {name: huggingface-multinode}
spec:
  disabled: false
  multiModel: false
  supportedModelFormats: [{name: huggingface, autoSelect: true, priority: 2}]
  containers: [{name: kserve-container, image: "registry.example/huggingface:1"}]
  workerSpec:
    pipelineParallelSize: 2
    containers: [{name: worker-container, image: "registry.example/huggingface:1"}]
  storageHelper: {disabled: true}
  builtInAdapter: {serverType: mlserver, runtimeManagementPort: 8001, memBufferBytes: 134217728}
"""

STORAGE_CONTAINER: Final = """\
apiVersion: serving.kserve.io/v1alpha1
kind: ClusterStorageContainer
metadata: {name: default}
spec:
  container: {name: storage-initializer, image: "registry.example/storage:1", resources: {limits: {cpu: 1}}}
  supportedUriFormats: [{prefix: "gs://"}, {regex: "https?://(.+)/(.+)"}]
  workloadType: initContainer
disabled: true
"""

GRAPH: Final = """\
apiVersion: serving.kserve.io/v1alpha1
kind: InferenceGraph
metadata: {name: pets}
spec:
  resources: {requests: {cpu: 10m}}
  routerTimeouts: {serverRead: 5, serviceClient: 30}
  minReplicas: 1
  nodes:
    root:
      routerType: Sequence
      steps:
      - {name: species, serviceName: species, dependency: Hard}
      - {name: breed, nodeName: breed, data: $response, condition: '[@this].#(predictions.0=="dog")'}
    breed:
      routerType: Splitter
      steps:
      - {serviceName: breed-1, weight: 80}
      - {serviceUrl: "http://breed-2.default/v1/models/breed-2:predict", weight: 20, mapPredictionsToInstances: true}
"""

TRAINED_MODEL: Final = """\
apiVersion: serving.kserve.io/v1alpha1
kind: TrainedModel
metadata: {name: iris-2}
spec:
  inferenceService: many
  model: {storageUri: "gs://flowers/iris-2", framework: sklearn, memory: 256Mi}
"""

MANIFESTS: Final = {
    "a model in a runtime": SKLEARN,
    "a framework by its short name": SHORTHAND,
    "containers with a transformer and an explainer": TRANSFORMER,
    "a canary": CANARY,
    "several nodes": MULTI_NODE,
    "several artefacts and metrics": STORAGE_URIS,
    "what a cluster has stored": STATUS,
    "a runtime": RUNTIME,
    "a runtime of the cluster": CLUSTER_RUNTIME,
    "a storage container": STORAGE_CONTAINER,
    "a graph": GRAPH,
    "a trained model": TRAINED_MODEL,
}


class _Loader(yaml.SafeLoader):
    """PyYAML's, with dates as texts."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def plain(text: str) -> Any:
    """A manifest as another reader sees it."""
    return yaml.load(text, Loader=_Loader)  # it is a safe loader


def iris(**spec: Any) -> dict[str, Any]:
    """A small InferenceService with this spec."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "iris"},
        "spec": spec or {"predictor": {"sklearn": {"storageUri": "gs://flowers/iris"}}},
    }
