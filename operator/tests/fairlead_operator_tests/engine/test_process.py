"""The operator as a process, without a cluster: when kopf ends, and when another operator begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kopf
import pytest

from fairlead_operator import process
from fairlead_operator.options import Options

if TYPE_CHECKING:
    from pathlib import Path

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: it
contexts: [{name: it, context: {cluster: it, user: it}}]
clusters: [{name: it, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: it, user: {}}]
"""


class APINotFoundError(Exception):
    """What kopf has under this name."""


class Kopf:
    """Runs that end as they are told to."""

    def __init__(self, *ends: Exception | None) -> None:
        self.ends = list(ends)
        self.registries: list[object] = []

    def run(self, **given: Any) -> None:
        self.registries.append(given["registry"])
        end = self.ends.pop(0)
        if end is not None:
            raise end


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *ends: Exception | None) -> Kopf:
    runs = Kopf(*ends)
    monkeypatch.setattr(kopf, "run", runs.run)
    monkeypatch.setattr(kopf, "configure", lambda **_: None)
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    options = Options(kubeconfig=tmp_path / "kubeconfig")
    process.run(options, metrics_port=0, health_port=0, log_format="plain", verbose=False)
    return runs


def test_another_operator_begins_when_a_kind_is_withdrawn_that_was_watched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = run(monkeypatch, tmp_path, APINotFoundError("there is no such path"), None)
    assert len({id(each) for each in runs.registries}) == 2


def test_any_other_failure_ends_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"):
        run(monkeypatch, tmp_path, RuntimeError("broken"))
