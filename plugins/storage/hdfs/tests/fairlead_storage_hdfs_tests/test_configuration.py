"""Where the configuration comes from, and what its keys mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import errors
from fairlead_storage_hdfs import _plugin, configuration
from fairlead_storage_hdfs._plugin import SPEC

NAMENODE = "http://namenode:9870"


def test_the_spec_names_every_key() -> None:
    assert set(SPEC.credentials) == {*_plugin.KEYS, "FAIRLEAD_STORAGE_*"}


def test_every_key_of_kserve_is_read() -> None:
    found = configuration.read(
        {
            "HDFS_NAMENODE": f"{NAMENODE}; https://other:9871/gateway/default/",
            "USER_PROXY": "alice",
            "HDFS_ROOTPATH": "/models",
            "TLS_CERT": "certificate",
            "TLS_KEY": "key",
            "TLS_CA": "authority",
            "TLS_SKIP_VERIFY": "True",
            "HEADERS": '{"Authorization": "Bearer secret"}',
            "N_THREADS": "3",
        },
        {},
    )
    assert found.namenodes == (NAMENODE, "https://other:9871/gateway/default")
    assert (found.proxy_user, found.root, found.verify, found.reads) == ("alice", "/models", False, 3)
    assert (found.certificate, found.key, found.authority) == ("certificate", "key", "authority")
    assert found.headers == {"Authorization": "Bearer secret"}


def test_what_is_given_is_not_mixed_with_the_process(tmp_path: Path) -> None:
    tmp_path.joinpath("HDFS_ROOTPATH").write_text("/of-a-file")
    environment = {"HDFS_SECRET_DIR": str(tmp_path), "HADOOP_USER_NAME": "process", "USER_PROXY": "process"}
    found = configuration.read({"HDFS_NAMENODE": NAMENODE}, environment)
    assert found == configuration.Configuration(namenodes=(NAMENODE,))


def test_files_of_a_folder_come_before_the_environment(tmp_path: Path) -> None:
    tmp_path.joinpath("HDFS_NAMENODE").write_text(f"{NAMENODE}\n")
    tmp_path.joinpath("USER_PROXY").write_text("alice\n")
    tmp_path.joinpath("HEADERS").write_text("")
    environment = {"HDFS_SECRET_DIR": str(tmp_path), "HDFS_NAMENODE": "http://other:9870", "HADOOP_USER_NAME": "bob"}
    found = configuration.read({}, environment)
    assert found == configuration.Configuration(namenodes=(NAMENODE,), proxy_user="alice")


def test_the_folder_of_kserve_is_read_without_being_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "DEFAULT_SECRETS", tmp_path)
    tmp_path.joinpath("HDFS_NAMENODE").write_text(NAMENODE)
    assert configuration.read({}, {}).namenodes == (NAMENODE,)


def test_general_names_of_the_environment_count_beside_a_namenode_only() -> None:
    environment = {"HEADERS": "not for us", "N_THREADS": "many", "TLS_KEY": "/etc/key.pem"}
    assert configuration.read({}, environment) == configuration.Configuration()
    with pytest.raises(errors.ConfigurationError, match="N_THREADS"):
        configuration.read({}, {"HDFS_NAMENODE": NAMENODE, "N_THREADS": "many"})


def test_the_user_is_named_as_for_every_client_of_hadoop() -> None:
    assert configuration.read({}, {"HADOOP_USER_NAME": "alice"}).user == "alice"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("HDFS_NAMENODE", "namenode:9870-secret"),
        ("HDFS_NAMENODE", "http://user:secret@namenode:9870"),
        ("HDFS_NAMENODE", "http://namenode:9870?user.name=secret"),
        ("HEADERS", "secret"),
        ("HEADERS", '["secret"]'),
        ("HEADERS", '{"A": ["secret"]}'),
        ("HEADERS", '{"A": "secret\\r\\nB: secret"}'),
        ("HEADERS", '{"Host": "secret"}'),
        ("TLS_SKIP_VERIFY", "secret"),
        ("N_THREADS", "secret"),
        ("N_THREADS", "0"),
        ("TLS_CERT", "secret"),
        ("KERBEROS_PRINCIPAL", "secret@REALM"),
        ("KERBEROS_KEYTAB", "secret"),
    ],
)
def test_a_wrong_value_is_an_error_that_does_not_show_it(key: str, value: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=key) as caught:
        configuration.read({"HDFS_NAMENODE": NAMENODE, key: value}, {})
    assert "secret" not in str(caught.value)


def test_kerberos_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(errors.ConfigurationError, match="HDFS_DELEGATION_TOKEN") as caught:
        configuration.read({"HDFS_NAMENODE": NAMENODE, "KERBEROS_PRINCIPAL": "a@B", "KERBEROS_KEYTAB": "BQIAAA=="}, {})
    assert "Kerberos is not supported" in caught.value.reason


def test_a_keytab_that_is_mounted_as_a_file_is_refused_too(tmp_path: Path) -> None:
    tmp_path.joinpath("HDFS_NAMENODE").write_text(NAMENODE)
    tmp_path.joinpath("KERBEROS_KEYTAB").write_bytes(b"\x05\x02\x00\xff")
    with pytest.raises(errors.ConfigurationError, match="KERBEROS_KEYTAB"):
        configuration.read({}, {"HDFS_SECRET_DIR": str(tmp_path)})


@pytest.mark.parametrize("key", ["HEADERS", "HDFS_DELEGATION_TOKEN", "TLS_CA", "TLS_SKIP_VERIFY"])
def test_what_is_for_one_server_needs_to_know_which(key: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="HDFS_NAMENODE"):
        configuration.read({key: '{"a": "b"}' if key == "HEADERS" else "true"}, {})


def test_a_folder_of_secrets_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="not a folder"):
        configuration.read({}, {"HDFS_SECRET_DIR": str(tmp_path / "missing")})
    tmp_path.joinpath("HEADERS").mkdir()
    with pytest.raises(errors.ConfigurationError, match="cannot be read"):
        configuration.read({}, {"HDFS_SECRET_DIR": str(tmp_path)})


def test_secrets_are_not_part_of_what_is_printed() -> None:
    found = configuration.Configuration(
        token="secret", headers={"A": "secret"}, certificate="secret", key="secret", authority="secret"
    )
    assert "secret" not in repr(found)
