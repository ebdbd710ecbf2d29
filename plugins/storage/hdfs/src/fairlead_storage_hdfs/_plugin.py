"""What the core needs to know of this provider."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairlead import StorageSpec, hookimpl

__all__ = ["KEYS", "SPEC", "fairlead_storage_providers"]

KEYS: Final = (
    "HDFS_NAMENODE",
    "HDFS_ROOTPATH",
    "HDFS_DELEGATION_TOKEN",
    "HADOOP_USER_NAME",
    "USER_PROXY",
    "HEADERS",
    "TLS_CERT",
    "TLS_KEY",
    "TLS_CA",
    "TLS_SKIP_VERIFY",
    "N_THREADS",
    "KERBEROS_KEYTAB",
    "KERBEROS_PRINCIPAL",
)
"""What is configured by KServe's names and by ours: among credentials, in files and in the environment."""

SPEC: Final = StorageSpec(
    name="hdfs",
    prefixes=("hdfs://", "webhdfs://", "swebhdfs://"),
    factory="fairlead_storage_hdfs.provider:HdfsProvider",
    credentials=(*KEYS, "FAIRLEAD_STORAGE_*"),
    origins=("HDFS_NAMENODE", "HDFS_ROOTPATH", "HDFS_SECRET_DIR", "TLS_SKIP_VERIFY"),
)


@hookimpl
def fairlead_storage_providers() -> Iterable[StorageSpec]:
    """The provider for HDFS."""
    return (SPEC,)
