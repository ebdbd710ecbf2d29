"""Where the artefacts of a component come from, and in which folder its containers find them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.resolve import remedies, storage_spec
from fairlead.resolve.service import MODEL_PATH, Source

if TYPE_CHECKING:
    from fairlead.api.component import ComponentFields
    from fairlead.api.predictor import PredictorExtension, PredictorSpec
    from fairlead.api.storagecontainer import ClusterStorageContainer
    from fairlead.contracts.storage import StorageSpec
    from fairlead.resolve.catalogue import Catalogue
    from fairlead.resolve.context import Context

__all__ = [
    "STORAGE_VARIABLE",
    "check_container_name",
    "check_uri",
    "of_component",
    "of_containers",
    "of_model",
    "provider",
    "takes",
    "unfetched",
]

STORAGE_VARIABLE: Final = "STORAGE_URI"
"""The variable by which containers of one's own ask for an artefact."""

_SCHEMES: Final = (
    "file",
    "gs",
    "hdfs",
    "hf",
    "http",
    "https",
    "oci",
    "oci+fetch",
    "oci+native",
    "pvc",
    "s3",
    "webhdfs",
)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CONDITION: Final = "UnsupportedStorageUri"
_WORKLOAD: Final = "initContainer"


def of_component(component: ComponentFields, place: str, catalogue: Catalogue) -> tuple[Source, ...]:
    """The artefacts that ``storageUris`` lists.

    Raises:
        Unresolvable: nothing is known to fetch one of them.
    """
    found = []
    for index, each in enumerate(component.storage_uris or ()):
        check_uri(each.uri, f"{place}.storageUris[{index}].uri", catalogue)
        found.append(Source(uri=each.uri, mount_path=each.mount_path))
    return tuple(found)


def of_model(
    model: PredictorExtension, place: str, annotations: Mapping[str, str], context: Context
) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """The artefact that ``storageUri`` or ``storage`` of a model names, if any, and what a user should know of it.

    Raises:
        Unresolvable: nothing is known to fetch it, or it is described in a way that is not supported.
    """
    if model.confidential is not None and model.confidential.enabled:
        raise errors.Unresolvable(
            "UnsupportedConfidential",
            f"{place}.confidential asks for a model that is decrypted, which nothing here does.",
            remedy="Store the model as it is, and take confidential out.",
        )
    if model.storage is not None and model.storage.model_dump(exclude_none=True):
        found = storage_spec.located(
            model.storage,
            model.storage_uri,
            place,
            namespace=context.namespace,
            annotations=annotations,
            vault=context.catalogue.vault,
            config=context.config.credentials,
        )
        return (Source(uri=found.uri, credentials=found.credentials),), found.warnings
    if model.storage_uri is None:
        return (), ()
    check_uri(model.storage_uri, f"{place}.storageUri", context.catalogue)
    return (Source(uri=model.storage_uri),), ()


def of_containers(
    containers: list[dict[str, Any]], place: str, catalogue: Catalogue
) -> tuple[list[dict[str, Any]], tuple[Source, ...]]:
    """The artefacts that containers of one's own name in ``STORAGE_URI``, and the containers with its folder there.

    Raises:
        Unresolvable: nothing is known to fetch one of them, or they name several for one folder.
    """
    found: dict[str, None] = {}
    rewritten = []
    for container in containers:
        env = []
        for each in container.get("env") or ():
            if each.get("name") == STORAGE_VARIABLE and each.get("value") != MODEL_PATH:
                found[_asked(each, f"{place}: {STORAGE_VARIABLE} of {container.get('name')}", catalogue)] = None
                env.append({"name": STORAGE_VARIABLE, "value": MODEL_PATH})
            else:
                env.append(each)
        rewritten.append({**container, "env": env} if env else container)
    if len(found) > 1:
        raise errors.Unresolvable(
            _CONDITION,
            f"{place}: the containers ask for {' and '.join(map(_shown, found))}, and both would be in {MODEL_PATH}.",
            remedy="List them in storageUris, each with a mountPath of its own.",
        )
    return rewritten, tuple(Source(uri=uri) for uri in found)


def _asked(variable: Mapping[str, Any], place: str, catalogue: Catalogue) -> str:
    uri = variable.get("value")
    if not isinstance(uri, str) or not uri:
        raise errors.Unresolvable(
            _CONDITION, f"{place} has no value.", remedy="Give the address itself; it is read before a container runs."
        )
    check_uri(uri, place, catalogue)
    return uri


# -- addresses ------------------------------------------------------------------------------------------


def check_uri(uri: str, place: str, catalogue: Catalogue) -> None:
    """Refuse an address that neither KServe's schemes, nor a provider, nor a ClusterStorageContainer takes.

    Azure's blobs are ``https`` addresses as well. One without a scheme is a path.

    Raises:
        Unresolvable: nothing is known to fetch it.
    """
    match = _SCHEME.match(uri)
    if match is None or match[1] in _SCHEMES or provider(uri, catalogue) or _declared(uri, catalogue):
        return
    near = remedies.near(match[1], _SCHEMES)
    plugin = re.sub(r"[^a-z0-9]+", "-", match[1].casefold())
    raise errors.Unresolvable(
        _CONDITION,
        f"{place}: nothing that is known here fetches {match[1]}:// ({_shown(uri)}).",
        remedy=(f"Did you mean {' or '.join(f'{each}://' for each in near)}? If not, install" if near else "Install")
        + f" a provider for it (by convention fairlead-storage-{plugin}), or declare a ClusterStorageContainer.",
    )


def unfetched(sources: tuple[Source, ...], place: str, catalogue: Catalogue) -> tuple[str, ...]:
    """What to know of addresses that are in order, and that no installed provider takes: one sentence each.

    Where Secrets are sealed it is an init container that fetches, with providers of its own.
    """
    found: list[str] = []
    if catalogue.vault.sealed:
        return ()
    for source in sources:
        match = _SCHEME.match(source.uri)
        if match is None or provider(source.uri, catalogue) or _declared(source.uri, catalogue):
            continue
        found.append(f"{place}: no storage provider that is installed here takes {match[1]}:// ({_shown(source.uri)}).")
    return tuple(found)


def check_container_name(predictor: PredictorSpec, sources: tuple[Source, ...], catalogue: Catalogue) -> None:
    """Refuse a ``storageContainerName`` that names no container which fetches the artefacts.

    Raises:
        Unresolvable: there is none of that name, or it is not used, or does not take an address.
    """
    name = predictor.storage_container_name
    if name is None:
        return
    place = "spec.predictor.storageContainerName"
    found = next((each for each in catalogue.storage_containers if each.metadata.name == name), None)
    why = ""
    if found is None:
        why = f"there is no ClusterStorageContainer {name!r}"
    elif found.disabled:
        why = f"the ClusterStorageContainer {name} is disabled"
    elif found.spec.workload_type != _WORKLOAD:
        why = f"the ClusterStorageContainer {name} is for {found.spec.workload_type}"
    else:
        formats = [(each.prefix, each.regex) for each in found.spec.supported_uri_formats]
        other = [each.uri for each in sources if not any(_fits(each.uri, *form, name) for form in formats)]
        why = f"the ClusterStorageContainer {name} does not take {_shown(other[0])}" if other else ""
    if why:
        raise errors.Unresolvable(
            "UnsupportedStorageContainer", f"{place}: {why}.", remedy="Take it out, or declare one that fits."
        )


def provider(uri: str, catalogue: Catalogue) -> StorageSpec | None:
    """The installed provider that takes an address: by pattern, else by the longest prefix; None where none does."""
    specs = catalogue.storage.values()
    for each in specs:
        if any(re.match(pattern, uri) for pattern in each.patterns):
            return each
    fitting = [(len(prefix), each) for each in specs for prefix in each.prefixes if uri.startswith(prefix)]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _declared(uri: str, catalogue: Catalogue) -> bool:
    """Whether a ClusterStorageContainer takes it."""
    return any(takes(each, uri) for each in catalogue.storage_containers)


def takes(container: ClusterStorageContainer, uri: str) -> bool:
    """Whether a ClusterStorageContainer is in use, fetches before a pod starts, and takes an address.

    Raises:
        Unresolvable: it says by a regular expression what it takes, and that is none.
    """
    if container.disabled or container.spec.workload_type != _WORKLOAD:
        return False
    forms = container.spec.supported_uri_formats
    return any(_fits(uri, form.prefix, form.regex, container.metadata.name) for form in forms)


def _fits(uri: str, prefix: str | None, regex: str | None, container: str) -> bool:
    if prefix:
        return uri.startswith(prefix)
    try:
        return bool(regex) and re.search(regex or "", uri) is not None
    except re.error as error:
        raise errors.Unresolvable(
            _CONDITION,
            f"The ClusterStorageContainer {container} has {regex!r}, which is no regular expression: {error}.",
            remedy="Write another one, or give a prefix.",
        ) from error


def _shown(uri: str) -> str:
    """An address without what may be a password in it, or a signature."""
    return re.sub(r"//[^/@]*@", "//...@", re.sub(r"[?#].*", "", uri, flags=re.DOTALL))[:120]
