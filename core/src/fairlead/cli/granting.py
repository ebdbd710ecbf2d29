"""What an init container fetches with: credentials from the variables and the files that its pod has for it.

An entry of the storage secret is in variables. Secrets are mounted as folders, and looked at by the rules by which a
laptop looks at declared ones. Other credentials providers find for themselves.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors

if TYPE_CHECKING:
    from fairlead.contracts.storage import StorageSpec
    from fairlead.resolve.credential_values import Values
    from fairlead.resolve.credentials import Given
    from fairlead.resolve.mounted import Files, Mounted
    from fairlead.resolve.secrets import Vault

__all__ = ["Granted", "granted"]

_MAP: Final = "CA_BUNDLE_CONFIGMAP_NAME"
_MAP_FOLDER: Final = "CA_BUNDLE_VOLUME_MOUNT_POINT"
_ROLE: Final = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
_ACCESS_KEY: Final = "AWS_ACCESS_KEY_ID"
_ENDPOINT: Final = "AWS_ENDPOINT_URL"
_WITHOUT_NAMES: Final = '{"namespace": "default", "account": "default"}'

_log = logging.getLogger("fairlead.storage")


@dataclasses.dataclass(frozen=True, slots=True)
class Granted:
    """An address, and what its provider is given.

    Attributes:
        uri: the address.
        credentials: what its provider is given; not in the representation.
        hint: what may help where the source refuses: a sentence.
    """

    uri: str
    credentials: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    hint: str = ""


@contextlib.contextmanager
def granted(
    sources: Sequence[str], environ: Mapping[str, str], specs: Mapping[str, StorageSpec]
) -> Iterator[list[Granted]]:
    """The addresses as they are fetched, for as long as the block runs.

    An entry counts for the address that it completes, and without such a one for all; then nothing else does.

    Args:
        sources: the addresses; one that ``storage`` of a model describes may lack its beginning.
        environ: the variables of the container.
        specs: the storage providers that are installed.

    Raises:
        ConfigurationError: the entry, or a Secret, is not there or cannot be used.
    """
    from fairlead.resolve.storage_spec import PENDING

    entry = _Entry(environ)
    for_all = not any(each.startswith(PENDING) for each in sources)
    with contextlib.ExitStack() as files:
        mounted: dict[str, str] | None = None
        found = []
        for source in sources:
            if entry.there and (for_all or source.startswith(PENDING)):
                found.append(entry.granted(source, files))
                continue
            if source.startswith(PENDING):
                raise errors.StorageError(
                    "The address of a storage spec has no scheme yet, and there is no entry that says it.",
                    remedy="Give the type and the bucket in the parameters of storage, or an entry of the storage"
                    " secret: its webhook or the operator puts one into STORAGE_CONFIG.",
                )
            if mounted is None:
                mounted = _of_files(environ, specs, files)
            found.append(Granted(source, mounted, _hint(source, mounted)))
        yield found


# -- an entry in variables --------------------------------------------------------------------------------


class _Entry:
    """The entry of the storage secret, and what is laid over it.

    Raises:
        Unresolvable: one of them is no JSON object of texts.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        from fairlead.resolve import storage_entries
        from fairlead.resolve.credentials import OVERRIDE_VARIABLE, STORAGE_CONFIG_VARIABLE

        self._environ = environ
        parts: list[dict[str, str]] = []
        for name in (STORAGE_CONFIG_VARIABLE, OVERRIDE_VARIABLE):
            text = environ.get(name)
            fields = storage_entries.parsed(text, f"The variable {name}") if text else {}
            for unknown in storage_entries.unknown_fields(fields, fields.get("type")):
                _log.warning("%s has %r, which means nothing for this kind of storage", name, unknown[:60])
            parts.append(fields)
        self._own, self._parameters = parts
        self.there = any(parts)

    def granted(self, source: str, files: contextlib.ExitStack) -> Granted:
        """An address, completed where it has to be, with what the entry says.

        Raises:
            Unresolvable: the entry does not describe the address.
        """
        from fairlead.resolve import storage_spec
        from fairlead.resolve.credentials import OVERRIDE_VARIABLE, STORAGE_CONFIG_VARIABLE, Given
        from fairlead.resolve.mounted import Mounted

        uri, parameters = storage_spec.completed(source, self._own, self._parameters)
        options = {STORAGE_CONFIG_VARIABLE: json.dumps(self._own), OVERRIDE_VARIABLE: json.dumps(parameters)}
        vault = Mounted.of(_WITHOUT_NAMES).vault({}, _config_maps(self._environ))
        return Granted(uri, _variables(Given(options=options), "default", vault, files))


# -- Secrets in files -------------------------------------------------------------------------------------


def _of_files(
    environ: Mapping[str, str], specs: Mapping[str, StorageSpec], files: contextlib.ExitStack
) -> dict[str, str]:
    """What mounted Secrets give; nothing where none are mounted.

    Raises:
        ConfigurationError: a Secret that is named is not there, or cannot be read.
    """
    from fairlead.resolve import credentials
    from fairlead.resolve.mounted import FOLDER_VARIABLE, NAMES_VARIABLE, SECRETS, Mounted

    folder, text = environ.get(FOLDER_VARIABLE), environ.get(NAMES_VARIABLE)
    if not folder or not text:
        if folder or text:
            raise errors.ConfigurationError(
                f"{FOLDER_VARIABLE} and {NAMES_VARIABLE} go together, and one of them is missing.",
                remedy="Set both, as the operator does, or neither.",
            )
        return {}
    mounted = Mounted.of(text)
    vault = mounted.vault(_folders(Path(folder, SECRETS)), _config_maps(environ))
    given = credentials.given(mounted.credentials, mounted.namespace, vault, mounted.config, specs)
    for warning in given.warnings:
        _log.warning("%s", warning)
    found = _variables(given, mounted.namespace, vault, files)
    return found | _role(mounted, found, environ)


def _hint(source: str, given: Mapping[str, str]) -> str:
    """What to know of a Secret that may say in annotations where S3 is."""
    if not source.startswith("s3://") or _ACCESS_KEY not in given or _ENDPOINT in given:
        return ""
    return (
        "It was asked for at Amazon's. Annotations of a Secret, such as serving.kserve.io/s3-endpoint, are not seen in"
        f" a container: write the endpoint into the Secret, with the key {_ENDPOINT}."
    )


def _role(mounted: Mounted, found: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The role of AWS that the pod was given for its ServiceAccount.

    Settings of S3 that are given stand alone, and an endpoint without an identity would be an error.
    """
    from fairlead.resolve.credentials import ROLE_ANNOTATION

    account = mounted.credentials.holder
    if account is None or ROLE_ANNOTATION not in account.annotations or _ACCESS_KEY in found:
        return {}
    return {name: environ[name] for name in _ROLE if environ.get(name)}


def _config_maps(environ: Mapping[str, str]) -> Files:
    """The ConfigMaps that are mounted, that of KServe's variables among them."""
    from fairlead.resolve.mounted import CONFIG_MAPS, FOLDER_VARIABLE

    found: dict[str, Mapping[str, bytes]] = {}
    name, folder = environ.get(_MAP), environ.get(_MAP_FOLDER)
    if name and folder and Path(folder).is_dir():
        found[name] = _content(Path(folder))
    if own := environ.get(FOLDER_VARIABLE):
        found |= _folders(Path(own, CONFIG_MAPS))
    return found


def _folders(folder: Path) -> Files:
    if not folder.is_dir():
        return {}
    return {each.name: _content(each) for each in sorted(folder.iterdir()) if each.is_dir()}


def _content(folder: Path) -> dict[str, bytes]:
    """The files of a volume by key; what begins with two dots is how Kubernetes swaps them, and no key.

    Raises:
        ConfigurationError: one cannot be read.
    """
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("..") or not path.is_file():
            continue
        try:
            found[path.name] = path.read_bytes()
        except OSError as error:
            raise errors.ConfigurationError(
                f"{path} cannot be read: {error.strerror}.",
                remedy=f"Mount it so that the user {os.geteuid()} may read it.",
            ) from error
    return found


def _variables(given: Given, namespace: str, vault: Vault, files: contextlib.ExitStack) -> dict[str, str]:
    """What providers are given; certificates of authorities are in a file in memory, which one variable names.

    Raises:
        Unresolvable: a value is not there, or is not what it has to be.
    """
    from fairlead.resolve import credential_values

    try:
        values: Values = credential_values.values(given, namespace, vault)
    except errors.Unresolvable as error:
        if error.condition != "ConfigMapNotFound":
            raise
        raise errors.Unresolvable(
            error.condition,
            "The ConfigMap with authorities for S3 is not mounted: it is not there, or only a Secret names it, which is"
            " not read before.",
            remedy="Name it in the parameters of storage (cabundle_configmap), in an annotation of a ServiceAccount"
            " with a role, or for all in the key credentials of inferenceservice-config.",
        ) from error
    if values.authorities is None:
        return dict(values.variables)
    # It is in memory, since neither the root file system nor the folder for temporary files has to be writable.
    descriptor = os.memfd_create("authorities")
    files.callback(os.close, descriptor)
    os.write(descriptor, values.authorities)
    return {**values.variables, "AWS_CA_BUNDLE": f"/proc/{os.getpid()}/fd/{descriptor}"}
