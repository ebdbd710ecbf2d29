"""Who asks, and what they may: bearer tokens, impersonation, and the roles in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead_apiserver.failures import Failure
from fairlead_apiserver.requests import Request, User

if TYPE_CHECKING:
    from fairlead_apiserver.store import Object, Store

__all__ = ["ADMIN", "Access"]

_GROUP: Final = "rbac.authorization.k8s.io"
ADMIN: Final = User("kubernetes-admin", ("system:masters", "system:authenticated"))
"""Who may do everything."""


class Access:
    """Knows users by their tokens, and judges requests by the roles that are stored.

    Args:
        store: Where the roles are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.tokens: dict[str, User] = {}

    def user(self, headers: Mapping[str, str]) -> User:
        """Who asks.

        Raises:
            Failure: The token is nobody's, or may not ask as another.
        """
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        user = self.tokens.get(token)
        if user is None:
            raise Failure(401, "Unauthorized", "Unauthorized")
        other = headers.get("Impersonate-User")
        if not other:
            return user
        if not user.admin:
            why = f'User "{user.name}" cannot impersonate resource "users" in API group "" at the cluster scope'
            raise Failure.forbidden("", "users", other, why)
        return known(other)

    def check(self, request: Request) -> None:
        """Hold a request to the roles of who asks.

        Raises:
            Failure: No role allows it.
        """
        user, resource = request.user, request.resource
        if user.admin:
            return
        full = f"{resource.plural}/{request.subresource}" if request.subresource else resource.plural
        asked = request.verb, resource.group, full, request.name or _selected(request)
        if any(_allows(rule, *asked) for rule in self._rules(user, request.namespace)):
            return
        where = f'in the namespace "{request.namespace}"' if request.namespace else "at the cluster scope"
        why = f'User "{user.name}" cannot {request.verb} resource "{full}" in API group "{resource.group}" {where}'
        raise Failure.forbidden(resource.group, resource.plural, request.name, why)

    def _rules(self, user: User, namespace: str) -> Iterator[Mapping[str, Any]]:
        for binding in self._store.all((_GROUP, "clusterrolebindings")):
            if _binds(binding, user):
                yield from self._role(binding["roleRef"], "")
        if not namespace:
            return
        for binding in self._store.all((_GROUP, "rolebindings"), namespace):
            if _binds(binding, user):
                yield from self._role(binding["roleRef"], namespace)

    def _role(self, reference: Mapping[str, str], namespace: str) -> Iterator[Mapping[str, Any]]:
        if reference["kind"] == "ClusterRole":
            role = self._store.get((_GROUP, "clusterroles"), ("", reference["name"]))
        else:
            role = self._store.get((_GROUP, "roles"), (namespace, reference["name"]))
        yield from (role or {}).get("rules", ())


def known(name: str) -> User:
    """A user with the groups that go with the name."""
    groups = ["system:authenticated"]
    if name.startswith("system:serviceaccount:"):
        groups += ["system:serviceaccounts", f"system:serviceaccounts:{name.split(':')[2]}"]
    return User(name, tuple(groups))


def _selected(request: Request) -> str:
    """The one object that a list or a watch is of, by its field selector: a rule with names allows that."""
    terms = (each.partition("=") for each in request.query.get("fieldSelector", "").split(","))
    return next((value.removeprefix("=") for key, _, value in terms if key == "metadata.name"), "")


def _binds(binding: Object, user: User) -> bool:
    for subject in binding.get("subjects", ()):
        kind, name = subject["kind"], subject["name"]
        if kind == "User" and name == user.name:
            return True
        if kind == "Group" and name in user.groups:
            return True
        if kind == "ServiceAccount" and user.name == f"system:serviceaccount:{subject.get('namespace', '')}:{name}":
            return True
    return False


def _allows(rule: Mapping[str, Any], verb: str, group: str, resource: str, name: str) -> bool:
    below = resource.partition("/")[2]
    names = rule.get("resourceNames", ())
    return (
        not {verb, "*"}.isdisjoint(rule.get("verbs", ()))
        and not {group, "*"}.isdisjoint(rule.get("apiGroups", ()))
        and not {resource, "*", f"*/{below}" if below else "*"}.isdisjoint(rule.get("resources", ()))
        and (not names or name in names)
    )
