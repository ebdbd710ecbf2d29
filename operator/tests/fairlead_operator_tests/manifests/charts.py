"""The Helm chart, made of the manifests: a few lines of them become templates, and the rest is copied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

import fairlead
from fairlead_operator_tests.manifests import folders

__all__ = ["files"]

_NAMESPACE: Final = "namespace: fairlead"
_RELEASE: Final = "namespace: {{ .Release.Namespace }}"
_WEBHOOKS: Final = "and .Values.webhooks.enabled (not .Values.namespaces)"

_CONFIGURATION: Final = f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: inferenceservice-config
  {_RELEASE}
data:
  {{{{- $shipped := .Files.Get "files/inferenceservice-config.yaml" | fromYaml }}}}
  {{{{- toYaml (merge (dict) .Values.configuration $shipped.data) | nindent 2 }}}}
"""

_RUNTIMES: Final = """\
{{- range .Values.runtimes }}
---
{{ required (printf "There is no runtime %s in this chart." .) ($.Files.Get (printf "files/runtimes/%s.yaml" .)) }}
{{- end }}
"""

_NOTES: Final = """\
The operator runs in the namespace {{ .Release.Namespace }}.
{{- if .Values.namespaces }}
It serves InferenceServices in: {{ join ", " .Values.namespaces }}.
{{- end }}

  kubectl --namespace {{ .Release.Namespace }} rollout status deployment/fairlead-operator
  kubectl get clusterservingruntimes
"""

_DEPLOYMENT: Final = {
    "  replicas: 2 #": "  replicas: {{ .Values.replicas }} #",
    "image: fairlead/operator:0.1.0": (
        'image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}'
    ),
    "imagePullPolicy: IfNotPresent": "imagePullPolicy: {{ .Values.image.pullPolicy }}",
    "            - --health-port=8081\n": """\
            - --health-port=8081
            {{- if or (not .Values.webhooks.enabled) .Values.namespaces }}
            - --no-webhooks
            {{- end }}
            {{- range .Values.namespaces }}
            - --namespace={{ . }}
            {{- end }}
""",
    """\
          resources:
            requests: {cpu: 100m, memory: 256Mi}
            limits: {memory: 1Gi}
""": """\
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
""",
    "      serviceAccountName: fairlead-operator\n": """\
      serviceAccountName: fairlead-operator
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
""",
}
"""Lines of the Deployment, and what they become."""


def files() -> dict[Path, str]:
    """The files of the chart, but for its values."""
    found = {
        "Chart.yaml": _chart(),
        "templates/NOTES.txt": _NOTES,
        "templates/configuration.yaml": _CONFIGURATION,
        "templates/runtimes.yaml": _RUNTIMES,
        "templates/storage-container.yaml": _text("runtimes/storage-container.yaml"),
        "templates/service-binding.yaml": _bindings(),
        "files/inferenceservice-config.yaml": _text("configuration/inferenceservice-config.yaml"),
    }
    for path in _folder("crd"):
        found[f"crds/{path.name}"] = path.read_text(encoding="utf-8")
    for path in _folder("runtimes"):
        if path.stem != "storage-container":
            found[f"files/runtimes/{path.name}"] = path.read_text(encoding="utf-8")
    for path in (*_folder("rbac"), *_folder("operator")):
        changes = _DEPLOYMENT if path.name == "deployment.yaml" else {}
        found[f"templates/{path.name}"] = _released(path.read_text(encoding="utf-8"), changes)
    for path in _folder("webhooks"):
        text = _released(path.read_text(encoding="utf-8"))
        found[f"templates/webhooks-{path.name}"] = f"{{{{- if {_WEBHOOKS} }}}}\n{text}{{{{- end }}}}\n"
    return {folders.CHART / name: text for name, text in sorted(found.items())}


def _chart() -> str:
    chart = {
        "apiVersion": "v2",
        "name": "fairlead",
        "description": "InferenceServices on Kubernetes: the operator of Fairlead",
        "type": "application",
        "version": fairlead.__version__,
        "appVersion": fairlead.__version__,
        "kubeVersion": ">=1.29.0-0",
    }
    return yaml.safe_dump(chart, sort_keys=False, width=120)


def _bindings() -> str:
    """The role of services, bound for the cluster or in each namespace that is named."""
    everywhere = _released(_text("rbac/everywhere/binding.yaml"))
    single = _text("overlays/namespaced/binding.yaml").replace("namespace: models", "namespace: {{ . }}")
    single = single.replace(_NAMESPACE, "namespace: {{ $.Release.Namespace }}")
    return "{{- range .Values.namespaces }}\n---\n" + single + "{{- else }}\n" + everywhere + "{{- end }}\n"


def _released(text: str, changes: Mapping[str, str] | None = None) -> str:
    """A manifest as a template.

    Raises:
        ValueError: a line that is to be changed is not there once.
    """
    for old, new in (changes or {}).items():
        if text.count(old) != 1:
            raise ValueError(f"{old!r} is there {text.count(old)} times")
        text = text.replace(old, new)
    return text.replace(_NAMESPACE, _RELEASE)


def _text(name: str) -> str:
    return (folders.MANIFESTS / name).read_text(encoding="utf-8")


def _folder(name: str) -> list[Path]:
    return [path for path in sorted((folders.MANIFESTS / name).glob("*.yaml")) if path.name != "kustomization.yaml"]
