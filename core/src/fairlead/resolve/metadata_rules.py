"""Rules about names, namespaces, labels and annotations: what an API server asks of them, and KServe beyond that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fairlead.resolve import findings

if TYPE_CHECKING:
    from fairlead.api.base import Metadata

__all__ = ["LONGEST_LABEL", "check_annotations", "check_labels", "check_metadata", "check_object_name"]

LONGEST_LABEL: Final = 63
"""The most characters that a part of a host name, the value of a label, and so the name of a Service may have."""

_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_WORD: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LONGEST_SUBDOMAIN: Final = 253
_MOST_BYTES: Final = 256 * 1024


def check_metadata(found: findings.Findings, metadata: Metadata) -> None:
    """Namespace, labels and annotations of an object."""
    namespace = metadata.namespace
    if namespace and not (_NAMESPACE.fullmatch(namespace) and len(namespace) <= LONGEST_LABEL):
        found.problem(
            "metadata.namespace",
            f"{findings.shown(namespace)} is no name of a namespace. Use at most {LONGEST_LABEL} lower case letters, "
            "digits and hyphens, with a letter or digit at both ends.",
        )
    check_labels(found, "metadata.labels", metadata.labels or {})
    check_annotations(found, "metadata.annotations", metadata.annotations or {})


def check_object_name(found: findings.Findings, name: str, *, strict: bool) -> None:
    """The name of an object.

    Args:
        found: where problems go.
        name: the name.
        strict: whether KServe's own rule holds, because names of services are made of it; otherwise Kubernetes'.
    """
    if strict and not _NAME.fullmatch(name):
        found.problem(
            "metadata.name",
            f"{findings.shown(name)} is no name of a service. Use lower case letters, digits and hyphens, with a "
            "letter first and no hyphen last.",
        )
    elif not strict and not (_SUBDOMAIN.fullmatch(name) and len(name) <= _LONGEST_SUBDOMAIN):
        found.problem(
            "metadata.name",
            f"{findings.shown(name)} is no name of an object. Use at most {_LONGEST_SUBDOMAIN} lower case letters, "
            "digits, hyphens and dots, with a letter or digit at both ends.",
        )


def check_labels(found: findings.Findings, path: str, labels: Mapping[str, str]) -> None:
    """The keys and values of labels."""
    _check_keys(found, path, labels)
    for key, value in labels.items():
        if value and not (_WORD.fullmatch(value) and len(value) <= LONGEST_LABEL):
            found.problem(
                path,
                f"the value {findings.shown(value)} of {findings.shown(key)} is no value of a label. Use at most "
                f"{LONGEST_LABEL} letters, digits, '-', '_' and '.', with a letter or digit at both ends.",
            )


def check_annotations(found: findings.Findings, path: str, annotations: Mapping[str, str]) -> None:
    """The keys of annotations, and the size of all together."""
    _check_keys(found, path, annotations)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _MOST_BYTES:
        found.problem(path, f"they have {size} bytes, and may have {_MOST_BYTES} together. Take some out.")


def _check_keys(found: findings.Findings, path: str, texts: Mapping[str, str]) -> None:
    for key in texts:
        prefix, slash, name = key.rpartition("/")
        well_named = _WORD.fullmatch(name) and len(name) <= LONGEST_LABEL
        well_placed = not slash or (_SUBDOMAIN.fullmatch(prefix.lower()) and len(prefix) <= _LONGEST_SUBDOMAIN)
        if not (well_named and well_placed):
            found.problem(
                path,
                f"{findings.shown(key)} is no key. Use at most {LONGEST_LABEL} letters, digits, '-', '_' and '.', and "
                "before them a domain and a slash where you like.",
            )
