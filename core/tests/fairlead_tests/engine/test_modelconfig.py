"""``fairlead.json``: what it may hold, and what is said of one that is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts.runtime import Artifact
from fairlead.engine import modelconfig
from fairlead.engine.modelconfig import ModelConfig
from fairlead.settings import ServerSettings


def config(folder: Path, text: str) -> ModelConfig:
    (folder / "fairlead.json").write_text(text)
    return modelconfig.read(folder)


def test_a_folder_without_the_file_says_nothing(tmp_path: Path) -> None:
    assert modelconfig.read(tmp_path) == ModelConfig()


def test_a_model_that_is_one_file_has_none(tmp_path: Path) -> None:
    model = tmp_path / "model.py"
    model.touch()
    (tmp_path / "fairlead.json").write_text("nonsense")
    assert modelconfig.read(model) == ModelConfig()


def test_every_key_is_read(tmp_path: Path) -> None:
    written = {
        "format": "sklearn",
        "options": {"method": "predict_proba", "nthread": 2},
        "memory": "1.5GiB",
        "max_queue_size": 5,
        "max_batch_size": 1,
        "max_batch_delay": 0.5,
        "request_timeout": 2,
        "pinned": True,
        "preload": True,
    }
    assert written.keys() == modelconfig.KEYS.keys()
    assert config(tmp_path, json.dumps(written)) == ModelConfig(
        model_format="sklearn",
        options={"method": "predict_proba", "nthread": 2},
        memory=3 << 29,
        max_queue_size=5,
        max_batch_size=1,
        max_batch_delay=0.5,
        request_timeout=2.0,
        pinned=True,
        preload=True,
    )


def test_limits_stand_in_for_the_servers_and_the_rest_stays(tmp_path: Path) -> None:
    server = ServerSettings(max_queue_size=7, max_batch_size=8)
    limits = config(tmp_path, '{"max_batch_size": 1}').over(server)
    assert (limits.max_queue_size, limits.max_batch_size) == (7, 1)
    assert ModelConfig().over(server) is server


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"max_batchsize": 1}', r"'max_batchsize' is no key of this file\. Did you mean max_batch_size\?"),
        ('{"colour": 1}', "It may have: format, options"),
        ("[1]", "is not a JSON object"),
        ("{", "is not JSON"),
        ('{"pinned": true, "pinned": false}', "'pinned' is there twice"),
        ('{"max_batch_delay": NaN}', "NaN is no number"),
        ('{"pinned": 1}', "pinned is 1, and not true or false"),
        ('{"max_queue_size": true}', "max_queue_size is true, and not a whole number"),
        ('{"max_batch_size": 0}', "at least 1"),
        ('{"request_timeout": -1}', "0 or more"),
        ('{"request_timeout": 1e999}', "0 or more"),
        ('{"memory": "2 potatoes"}', "a number of bytes"),
        ('{"format": ""}', "the name of a format"),
        ('{"options": {"a": null}}', "texts, numbers and truth values"),
        ("[" * 10_000, "is not JSON"),
        (" " * 70_000, "more than 65536 bytes"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=said) as raised:
        config(tmp_path, text)
    assert str(tmp_path / "fairlead.json") in str(raised.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fairlead.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(errors.ConfigurationError, match="is not JSON"):
        modelconfig.read(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fairlead.json").touch(mode=0o000)
    with pytest.raises(errors.ConfigurationError, match="cannot be read"):
        modelconfig.read(tmp_path)


def test_the_file_is_none_of_the_models_files(tmp_path: Path) -> None:
    for name in ("fairlead.json", "model.json"):
        (tmp_path / name).touch()
    assert Artifact(path=tmp_path, uri="").only(("*.json",)).name == "model.json"
