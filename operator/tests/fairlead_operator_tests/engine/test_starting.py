"""``fairlead-operator run`` where it cannot begin."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest
import yaml

from fairlead_operator import cli, handlers
from fairlead_operator.cluster.kinds import Kinds

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "c",
}


@pytest.fixture(autouse=True)
def _outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", "")  # the command sets it, and it is to be as it was


def run(*arguments: str) -> int:
    return cli.main(["run", "--no-webhooks", "--health-port=0", *arguments])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "there is no file "),
        ("{}", "Expected key current-context"),
        ("", "what is there is no kubeconfig"),
        ("root:x:0:0\n", "what is there is no kubeconfig"),
        ("a: [", "what is there is no kubeconfig"),
    ],
)
def test_what_leads_to_no_cluster_is_an_error_with_a_remedy(
    text: str | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    assert run("--metrics-port=0", f"--kubeconfig={file}") == 2
    reason, remedy, *_ = capsys.readouterr().err.rsplit("error: ", 1)[1].splitlines()
    assert told in reason
    assert remedy == "Set KUBECONFIG to the file of a cluster, or run within one."


def test_a_port_that_is_taken_is_an_error_with_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(KUBECONFIG))
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(f"--metrics-port={port}", f"--kubeconfig={file}") == 2
    told = capsys.readouterr().err
    assert "A port cannot be listened on: " in told
    assert "--metrics-port" in told


def test_probes_are_not_logged() -> None:
    handlers.configured(Kinds())
    assert not logging.getLogger("aiohttp.access").isEnabledFor(logging.INFO)
