"""Creating, updating, patching, applying and deleting."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from fairlead_apiserver import applying, decoding, patches, preparing, scaling
from fairlead_apiserver.allocating import Allocator
from fairlead_apiserver.applying import Manager
from fairlead_apiserver.decoding import Findings
from fairlead_apiserver.failures import Cause, Failure

if TYPE_CHECKING:
    from fairlead_apiserver.requests import Request
    from fairlead_apiserver.resources import Key
    from fairlead_apiserver.store import Object, Store

__all__ = ["Admission", "Writer"]

_ATTEMPTS: Final = 5
_FOREGROUND: Final = "foregroundDeletion"
_PATCHES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
    "application/strategic-merge-patch+json",
)


class Admission(Protocol):
    """Who is asked before an object is written."""

    async def mutated(self, request: Request, operation: str, given: Object, old: Object | None) -> Object:
        """The object as the mutating webhooks leave it."""

    async def validated(self, request: Request, operation: str, given: Object | None, old: Object | None) -> None:
        """Ask the validating webhooks."""


class Writer:
    """Everything that changes the store on behalf of a request.

    Args:
        store: Where objects are.
        admission: Who is asked before.
    """

    def __init__(self, store: Store, admission: Admission) -> None:
        self._store = store
        self._admission = admission
        self._allocator = Allocator()

    async def create(self, request: Request) -> Object:
        """``POST`` of an object."""
        data = preparing.body(request)
        if isinstance(data, dict) and (data.get("metadata") or {}).get("resourceVersion"):
            raise Failure(500, "", "resourceVersion should not be set on objects to be created")
        given = self._placed(request, preparing.read(request, data))
        given["metadata"].pop("managedFields", None)
        return await self._create(request, given, owned=None)

    async def _create(self, request: Request, given: Object, owned: list[Any] | None) -> Object:
        resource = request.resource
        self._room(request)
        given = preparing.complete(resource, given)
        if owned is None:
            manager = Manager(request.manager, "Update", resource.api_version)
            reset = ("status",) if "status" in resource.subresources else ()
            owned = applying.updated(resource.node, None, given, None, manager, preparing.now(), reset)
        given = await self._admission.mutated(request, "CREATE", given, None)
        given = preparing.complete(resource, self._reread(request, given))
        given = preparing.complete(resource, preparing.fresh(resource, given))
        if resource.key == ("", "services"):
            self._allocator.service(given, None)
        preparing.check(resource, given, None)
        await self._admission.validated(request, "CREATE", given, None)
        request.name = given["metadata"]["name"]
        given["metadata"] = {key: value for key, value in given["metadata"].items() if key != "managedFields"}
        if owned:
            given["metadata"]["managedFields"] = owned
        self._room(request)
        if self._store.get(resource.key, request.where) is not None:
            raise Failure.already_exists(resource.group, resource.plural, request.name)
        return given if request.dry else self._store.put(resource.key, request.where, given)

    async def update(self, request: Request) -> Object:
        """``PUT`` of an object or a subresource."""
        data = preparing.body(request)
        if request.subresource == "scale":
            return await self._changed(request, lambda old: scaling.written(request.resource, old, data))
        given = self._placed(request, preparing.read(request, data))
        resource = request.resource
        if resource.conditional and not given["metadata"].get("resourceVersion"):
            cause = Cause(
                "metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0: must be specified for an update"
            )
            raise Failure.invalid(resource.group, resource.kind, request.name, [cause])
        return await self._changed(request, lambda _: given)

    async def patch(self, request: Request) -> tuple[Object, bool]:
        """``PATCH``; the answer also says whether the object is new."""
        kind = request.content_type.partition(";")[0].strip()
        resource = request.resource
        accepted = _PATCHES if resource.own else _PATCHES[:3]
        if kind not in accepted:
            raise Failure.unsupported_media(kind, accepted)
        if kind == "application/apply-patch+yaml":
            return await self._apply(request)
        if "force" in request.query:
            text = "may not be specified for non-apply patch"
            raise Failure.invalid("meta.k8s.io", "PatchOptions", "", [Cause.of("FieldValueForbidden", "force", text)])
        data = preparing.body(request)

        def patched(old: Object) -> Object:
            target = scaling.read(resource, old) if request.subresource == "scale" else old
            if kind.startswith("application/json-patch"):
                found = patches.json_patch(target, data)
            elif kind.startswith("application/merge"):
                found = patches.merge_patch(target, data)
            else:
                found = patches.strategic(resource.node, target, data)
            if request.subresource == "scale":
                return scaling.written(resource, old, found)
            return self._placed(request, preparing.read(request, found))

        return await self._changed(request, patched), False

    async def _changed(self, request: Request, change: Callable[[Object], Object]) -> Object:
        resource = request.resource
        for _ in range(_ATTEMPTS):
            old = self._existing(request)
            given = change(old)
            metadata = given["metadata"]
            version, uid = metadata.get("resourceVersion"), metadata.get("uid")
            if version and version != old["metadata"]["resourceVersion"]:
                raise Failure.conflict(resource.group, resource.plural, request.name)
            if uid and uid != old["metadata"]["uid"] and request.verb == "patch":
                cause = Cause.of("FieldValueInvalid", "metadata.uid", "field is immutable", uid)
                raise Failure.invalid(resource.group, resource.kind, request.name, [cause])
            if uid and uid != old["metadata"]["uid"]:
                why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
                raise Failure.conflict(resource.group, resource.plural, request.name, why)
            new = preparing.complete(resource, self._merged(request, old, given))
            manager = self._manager(request, "Update")
            # Who holds what may be written itself, though not along with a subresource.
            holders = given if metadata.get("managedFields") and not request.subresource else old
            owned = applying.updated(resource.node, old, new, holders, manager, preparing.now(), self._reset(request))
            written = await self._write(request, old, new, owned)
            if written is not None:
                return written
        raise Failure.conflict(resource.group, resource.plural, request.name)

    async def _apply(self, request: Request) -> tuple[Object, bool]:
        resource = request.resource
        if not request.query.get("fieldManager"):
            cause = Cause.of("FieldValueRequired", "fieldManager", "is required for apply patch")
            raise Failure.invalid("meta.k8s.io", "PatchOptions", "", [cause])
        data = preparing.body(request)
        given = self._applied(request, data)
        manager, force = self._manager(request, "Apply"), request.query.get("force") == "true"
        for _ in range(_ATTEMPTS):
            old = self._store.get(resource.key, request.where)
            if old is None and (request.subresource or given["metadata"].get("uid")):
                raise Failure.not_found(resource.group, resource.plural, request.name)
            wanted = given["metadata"].get("resourceVersion")
            if old is not None and wanted not in (None, "", "0", old["metadata"]["resourceVersion"]):
                raise Failure.conflict(resource.group, resource.plural, request.name)
            merged = applying.applied(
                resource.node, old, given, manager, preparing.now(), self._reset(request), force=force
            )
            owned = merged["metadata"].pop("managedFields", [])
            merged = self._reread(request, merged)
            if old is None:
                return await self._create(request, merged, owned), True
            new = preparing.complete(resource, self._merged(request, old, merged))
            written = await self._write(request, old, new, owned)
            if written is not None:
                return written, False
        raise Failure.conflict(resource.group, resource.plural, request.name)

    def _applied(self, request: Request, data: Any) -> Object:
        """What is applied, with all of its fields known."""
        resource = request.resource
        findings = Findings()
        if not isinstance(data, dict):
            raise Failure.bad_request("the applied object is not a map")
        if (data.get("metadata") or {}).get("managedFields"):
            raise Failure.bad_request("metadata.managedFields must be nil")
        if "apiVersion" not in data or "kind" not in data:
            raise Failure.bad_request(f"Object 'Kind' is missing in '{orjson.dumps(data).decode()}'")
        preparing.same_kind(resource, data)
        given: Object = decoding.decode(resource.node, data, "", findings, own=False)
        head = (
            f"failed to create typed patch object ({request.namespace}/{request.name}; {resource.api_version}, "
            f"Kind={resource.kind}): "
        )
        if findings.unknown:
            texts = [f".{path}: field not declared in schema" for path in findings.unknown]
            raise Failure(500, "", head + (texts[0] if len(texts) == 1 else "errors:\n  " + "\n  ".join(texts)))
        if findings.mistyped:
            path, expected, value = findings.mistyped[0]
            raise Failure(500, "", f"{head}.{path}: expected {expected}, got {decoding.named(value)}")
        return self._placed(request, {**given, "metadata": {**(given.get("metadata") or {})}})

    async def _write(self, request: Request, old: Object, new: Object, owned: list[Any]) -> Object | None:
        """Write over the object, unless another was quicker: then the answer is None."""
        resource = request.resource
        mutated = await self._admission.mutated(request, "UPDATE", new, old)
        if mutated is not new:
            new = preparing.complete(resource, self._merged(request, old, self._reread(request, mutated)))
        new = {**new, "metadata": {**new["metadata"]}}
        new["metadata"].pop("managedFields", None)
        if owned:
            new["metadata"]["managedFields"] = owned
        if resource.key == ("", "services") and not request.subresource:
            self._allocator.service(new, old)
        if resource.counted and request.subresource != "status" and preparing.changed(resource, old, new):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        self._finalizers(request, old, new)
        preparing.check(resource, new, old)
        await self._admission.validated(request, "UPDATE", new, old)
        current = self._store.get(resource.key, request.where)
        if current is not old:
            return None if current is not None else self._existing(request)
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if request.dry or new == old:
            return new
        if "deletionTimestamp" in new["metadata"] and not self._held(resource.key, new):
            self._store.put(resource.key, request.where, new)
            self._store.remove(resource.key, request.where)
            return new
        return self._store.put(resource.key, request.where, new)

    async def delete(self, request: Request) -> Object:
        """``DELETE`` of one object; the answer is the object where it stays for its finalizers, else a Status."""
        if request.body:
            request.options = preparing.body(request) or {}
        resource, old = request.resource, self._existing(request)
        wanted = request.options.get("preconditions") or {}
        for key in ("uid", "resourceVersion"):
            if wanted.get(key) and wanted[key] != old["metadata"][key]:
                label, what = ("UID", "deleted and then recreated") if key == "uid" else ("ResourceVersion", "modified")
                why = (
                    f"the {label} in the precondition ({wanted[key]}) does not match the {label} in record "
                    f"({old['metadata'][key]}). The object might have been {what}"
                )
                raise Failure.conflict(resource.group, resource.kind, request.name, why)
        await self._admission.validated(request, "DELETE", None, old)
        old = self._existing(request)
        if request.dry:
            return _success(request, old)
        new = self._marked(request, old)
        if self._held(resource.key, new):
            return new if new == old else self._store.put(resource.key, request.where, new)
        self._store.remove(resource.key, request.where)
        return _success(request, old)

    def _marked(self, request: Request, old: Object) -> Object:
        """The object as one that is being deleted."""
        metadata = dict(old["metadata"])
        finalizers = list(metadata.get("finalizers", ()))
        policy = request.options.get("propagationPolicy") or request.query.get("propagationPolicy")
        if request.options.get("orphanDependents") or request.query.get("orphanDependents") == "true":
            policy = "Orphan"
        wanted = {"Foreground": _FOREGROUND, "Orphan": "orphan"}.get(policy or "")
        if policy:
            finalizers = [each for each in finalizers if each not in (_FOREGROUND, "orphan") or each == wanted]
        if wanted and wanted not in finalizers:
            finalizers.append(wanted)
        if finalizers:
            metadata["finalizers"] = finalizers
        else:
            metadata.pop("finalizers", None)
        new = {**old, "metadata": metadata}
        if "deletionTimestamp" not in metadata:
            metadata |= {"deletionTimestamp": preparing.now(), "deletionGracePeriodSeconds": 0}
            if "generation" in metadata:
                metadata["generation"] += 1
        if request.resource.key == ("", "namespaces"):
            new["status"] = {**old.get("status", {}), "phase": "Terminating"}
        return new

    @staticmethod
    def _held(key: Key, given: Object) -> bool:
        """Whether somebody has to do something before the object goes."""
        inside = key == ("", "namespaces") and bool(given.get("spec", {}).get("finalizers"))
        return bool(given["metadata"].get("finalizers")) or inside

    @staticmethod
    def _finalizers(request: Request, old: Object, new: Object) -> None:
        before = old["metadata"].get("finalizers", ())
        added = [each for each in new["metadata"].get("finalizers", ()) if each not in before]
        if "deletionTimestamp" in old["metadata"] and added:
            text = f"no new finalizers can be added if the object is being deleted, found new finalizers {added}"
            cause = Cause.of("FieldValueForbidden", "metadata.finalizers", text)
            raise Failure.invalid(request.resource.group, request.resource.kind, request.name, [cause])

    def _existing(self, request: Request) -> Object:
        found = self._store.get(request.resource.key, request.where)
        if found is None:
            raise Failure.not_found(request.resource.group, request.resource.plural, request.name)
        return found

    def _room(self, request: Request) -> None:
        """Whether the namespace takes new objects."""
        if not request.resource.namespaced:
            return
        namespace = self._store.get(("", "namespaces"), ("", request.namespace))
        if namespace is None:
            raise Failure.not_found("", "namespaces", request.namespace)
        if "deletionTimestamp" in namespace["metadata"]:
            why = f"unable to create new content in namespace {request.namespace} because it is being terminated"
            text = f"namespace {request.namespace} is being terminated"
            cause = Cause("metadata.namespace", "NamespaceTerminating", text)
            raise Failure.forbidden(request.resource.group, request.resource.plural, request.name, why, [cause])

    @staticmethod
    def _placed(request: Request, given: Object) -> Object:
        """The object with its namespace and name, which must be those of the address."""
        metadata = given["metadata"]
        if request.resource.namespaced:
            if metadata.setdefault("namespace", request.namespace) != request.namespace:
                text = "the namespace of the provided object does not match the namespace sent on the request"
                raise Failure.bad_request(text)
        else:
            metadata.pop("namespace", None)
        if request.name and metadata.setdefault("name", request.name) != request.name:
            raise Failure.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({request.name})"
            )
        return given

    @staticmethod
    def _reread(request: Request, given: Object) -> Object:
        return preparing.read(request, given, strict=False)

    @staticmethod
    def _merged(request: Request, old: Object, given: Object) -> Object:
        below = "" if request.subresource == "scale" else request.subresource
        return preparing.kept(request.resource, old, given, below)

    @staticmethod
    def _manager(request: Request, operation: str) -> Manager:
        return Manager(request.manager, operation, request.resource.api_version, request.subresource)

    @staticmethod
    def _reset(request: Request) -> tuple[str, ...]:
        """The parts that a request cannot change, and so cannot own."""
        if request.subresource == "status":
            return ("spec", "metadata")
        return ("status",) if "status" in request.resource.subresources else ()


def _success(request: Request, old: Object) -> dict[str, Any]:
    details = {"name": request.name, "group": request.resource.group, "kind": request.resource.plural}
    details = {key: value for key, value in details.items() if value} | {"uid": old["metadata"]["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
