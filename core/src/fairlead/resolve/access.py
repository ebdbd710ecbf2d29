"""Access to the artefacts of a component: each is told what names its credentials, and these are looked at."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead.resolve import credential_values, credentials, s3_options, storage, storage_spec
from fairlead.resolve.credentials import ROLE_ANNOTATION, Credentials

if TYPE_CHECKING:
    from fairlead.resolve.context import Context
    from fairlead.resolve.service import Source

__all__ = ["granted", "needs_credentials"]

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")  # one slash is enough for models:/iris/1
_NEED_NONE: Final = ("file", "pvc")
_MAY_NEED_NONE: Final = ("http", "https")


def granted(
    sources: tuple[Source, ...], pod: Mapping[str, Any], annotations: Mapping[str, str], place: str, context: Context
) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """Artefacts with what names their credentials, and what a user should know of these.

    Secrets of a sealed vault are named and not looked at: the names have their ServiceAccount beside them.

    Args:
        sources: the artefacts; one that ``storage`` describes has its names already.
        pod: the PodSpec of the component.
        annotations: those of the component and its service.
        place: the component's place in its InferenceService, for messages.
        context: what it is resolved with.

    Raises:
        Unresolvable: a Secret that is named is not there, or holds no credentials that can be used.
    """
    named = credentials.of_pod(pod, annotations, context.config.credentials)
    found: list[Source] = []
    warnings: list[str] = []
    for source in sources:
        if not needs_credentials(source.uri):
            found.append(source)
            continue
        scheme = _scheme(source.uri)
        names = source.credentials or _of_scheme(named, scheme)
        if context.catalogue.vault.sealed:
            found.append(dataclasses.replace(source, credentials=_sealed(names or Credentials(), scheme, context)))
            continue
        found.append(dataclasses.replace(source, credentials=names))
        warnings += _looked_at(names, source.uri, scheme, place, context)
    return tuple(found), tuple(dict.fromkeys(warnings))


def needs_credentials(uri: str) -> bool:
    """Whether an artefact may need credentials: it is no file of this machine, and in no volume."""
    return uri.startswith(storage_spec.PENDING) or _scheme(uri) not in ("", *_NEED_NONE)


def _scheme(uri: str) -> str:
    match = _SCHEME.match(uri)
    return match[1].lower() if match else ""


def _of_scheme(named: Credentials | None, scheme: str) -> Credentials | None:
    """The names without logins of registries, where the artefact is in none."""
    if named is None or scheme.startswith("oci"):
        return named
    found = dataclasses.replace(named, pull_secrets=())
    return None if found == Credentials() else found


def _sealed(names: Credentials, scheme: str, context: Context) -> Credentials:
    """The names with what of their ServiceAccount matters to an artefact of the scheme."""
    account = context.catalogue.vault.accounts.get((context.namespace, names.account))
    if names.specified or account is None:
        return names
    role = ROLE_ANNOTATION in account.annotations
    matter = {
        name: text
        for name, text in sorted(account.annotations.items())
        if role and (name == ROLE_ANNOTATION or name.startswith(s3_options.PREFIX))
    }
    pulls = account.pull_secrets if scheme.startswith("oci") else ()
    return dataclasses.replace(names, holder=dataclasses.replace(account, annotations=matter, pull_secrets=pulls))


def _looked_at(names: Credentials | None, uri: str, scheme: str, place: str, context: Context) -> list[str]:
    """What a user should know of credentials that are in order.

    Raises:
        Unresolvable: they are not.
    """
    catalogue = context.catalogue
    given = credentials.given(names, context.namespace, catalogue.vault, context.config.credentials, catalogue.storage)
    credential_values.values(given, context.namespace, catalogue.vault)
    warnings = list(given.warnings)
    provider = storage.provider(uri, catalogue)
    if given.names and provider is not None and provider.credentials and scheme not in _MAY_NEED_NONE:
        fits = any(fnmatch.fnmatchcase(name, each) for name in given.names for each in provider.credentials)
        if not fits and (names is None or not names.specified):
            warnings.append(
                f"{place}: the Secrets that it names have no credentials for {scheme}://, so that those of the"
                " environment are used, if there are any."
            )
    return warnings
