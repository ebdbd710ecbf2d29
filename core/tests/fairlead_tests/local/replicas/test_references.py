"""Variables that come from Secrets and ConfigMaps: in the environment of who asks for them, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairlead import errors
from fairlead.local.declared import Declared
from fairlead.local.replicas import commands, unsupported
from fairlead.local.replicas.orders import Ports
from fairlead_tests.local.replicas.making import order
from fairlead_tests.resolve import vaults
from fairlead_tests.resolve.vaults import account, config_map, secret, vault

if TYPE_CHECKING:
    from fairlead.local.replicas.orders import Order

PORTS = Ports(http=7001, grpc=None)
THERE = vault(
    secret("login", {"user": "me", "password": "hidden\n", "binary": "x"}),
    secret("other", {"user": "you"}, namespace="theirs"),
    config_map("settings", mode="fast", **{"not-a/name": "x"}),
)


def made(folder: Path, *env: dict[str, Any], **fields: Any) -> Order:
    given = {"command": ["x"], "env": list(env), "declared": Declared(THERE), **fields}
    return order(folder, **given)


def variable(name: str, field: str, holder: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "valueFrom": {field: {"name": holder, "key": key, **more}}}


def test_variables_have_the_values_of_what_they_name(tmp_path: Path) -> None:
    found = commands.command(
        made(
            tmp_path,
            variable("USER", "secretKeyRef", "login", "user"),
            variable("PASSWORD", "secretKeyRef", "login", "password"),
            variable("MODE", "configMapKeyRef", "settings", "mode"),
            {"name": "URL", "value": "http://$(USER)@host"},
            variable("MAYBE", "secretKeyRef", "absent", "x", optional=True),
            variable("PERHAPS", "configMapKeyRef", "settings", "x", optional=True),
        ),
        PORTS,
        {},
    ).env
    assert (found["USER"], found["PASSWORD"], found["MODE"]) == ("me", "hidden\n", "fast")
    assert found["URL"] == "http://me@host"
    assert not {"MAYBE", "PERHAPS"} & set(found)


def test_all_keys_of_an_object_may_be_variables_and_single_ones_win(tmp_path: Path) -> None:
    sources = [{"secretRef": {"name": "login"}, "prefix": "L_"}, {"configMapRef": {"name": "settings"}}]
    asked = made(tmp_path, {"name": "mode", "value": "slow"}, envFrom=sources)
    found = commands.command(asked, PORTS, {}).env
    assert (found["L_user"], found["mode"]) == ("me", "slow")
    assert "not-a/name" not in found
    assert unsupported.of_pod(asked) == ()


@pytest.mark.parametrize(
    ("asked", "condition"),
    [
        (variable("TOKEN", "secretKeyRef", "absent", "x"), "SecretNotFound"),
        (variable("TOKEN", "secretKeyRef", "other", "user"), "SecretNotFound"),
        (variable("TOKEN", "secretKeyRef", "theirs/other", "user"), "SecretNotFound"),
        (variable("TOKEN", "secretKeyRef", "login", "absent"), "InvalidSecret"),
        (variable("TOKEN", "configMapKeyRef", "absent", "x"), "ConfigMapNotFound"),
        (variable("TOKEN", "configMapKeyRef", "settings", "absent"), "InvalidConfigMap"),
    ],
)
def test_what_is_not_there_is_told_by_the_variable(tmp_path: Path, asked: dict[str, Any], condition: str) -> None:
    with pytest.raises(errors.Unresolvable, match="The variable TOKEN names") as caught:
        commands.check(made(tmp_path, asked))
    assert caught.value.condition == condition
    assert caught.value.remedy


@pytest.mark.parametrize("field", ["secretRef", "configMapRef"])
def test_a_whole_object_has_to_be_there_unless_it_is_optional(tmp_path: Path, field: str) -> None:
    with pytest.raises(errors.Unresolvable, match=f"envFrom.{field} names"):
        commands.check(made(tmp_path, envFrom=[{field: {"name": "absent"}}]))
    asked = made(tmp_path, envFrom=[{field: {"name": "absent", "optional": True}}])
    commands.check(asked)
    (note,) = unsupported.of_pod(asked)
    assert note.startswith(f"envFrom gives no variables here: {field}")


@pytest.mark.parametrize("word", ["--password=$(PASSWORD)", "$(DERIVED)", "$(L_password)"])
def test_an_argument_never_holds_what_is_secret(tmp_path: Path, word: str) -> None:
    env = [variable("PASSWORD", "secretKeyRef", "login", "password"), {"name": "DERIVED", "value": "x$(PASSWORD)"}]
    sources = [{"secretRef": {"name": "login"}, "prefix": "L_"}]
    for asked in (
        made(tmp_path, *env, envFrom=sources, command=["x", word]),
        made(tmp_path, *env, envFrom=sources, args=[word]),
    ):
        with pytest.raises(errors.Unresolvable, match="comes from a Secret") as caught:
            commands.command(asked, PORTS, {})
        assert "hidden" not in str(caught.value)
    commands.check(made(tmp_path, *env, command=["x", word.replace("$", "$$")]))


def test_a_change_counts_for_the_next_process(tmp_path: Path) -> None:
    asked = made(tmp_path, variable("USER", "secretKeyRef", "login", "user"), declared=(declared := Declared(THERE)))
    assert commands.command(asked, PORTS, {}).env["USER"] == "me"
    declared.vault = vault(secret("login", {"user": "new"}))
    assert commands.command(asked, PORTS, {}).env["USER"] == "new"


def test_an_account_is_noted_where_it_gives_nothing(tmp_path: Path) -> None:
    role = {"annotations": {"eks.amazonaws.com/role-arn": "arn:x"}}
    declared = Declared(vault(account("ml", "login"), account("eks", metadata=role)))
    notes = {
        name: unsupported.of_pod(made(tmp_path, pod={"serviceAccountName": name}, declared=declared))
        for name in ("ml", "eks", "absent")
    }
    assert notes["ml"] == ()
    assert "nothing becomes a role" in notes["eks"][0]
    assert "no ServiceAccount absent is declared" in notes["absent"][0]


def test_an_order_shows_nothing_of_what_is_declared(tmp_path: Path) -> None:
    assert "hidden" not in repr(made(tmp_path))
    assert vaults.encoded("hidden\n") not in repr(made(tmp_path))
