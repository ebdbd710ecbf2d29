"""Which repository an address means, and what an address that means none is told."""

from __future__ import annotations

import pytest

from fairlead import errors
from fairlead_storage_huggingface.repositories import Repository


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("hf://org/model", Repository("org", "model", "main")),
        ("hf://org/model/", Repository("org", "model", "main")),
        ("hf://org/model:v1.0", Repository("org", "model", "v1.0")),
        ("hf://org/model:refs/pr/1", Repository("org", "model", "refs/pr/1")),
        ("hf://Org_1/My.Model-2:0123abc", Repository("Org_1", "My.Model-2", "0123abc")),
    ],
)
def test_an_address_names_an_owner_a_model_and_perhaps_a_revision(uri: str, wanted: Repository) -> None:
    assert Repository.parse(uri) == wanted


@pytest.mark.parametrize(
    ("uri", "match"),
    [
        ("hf://gpt2", "does not name an owner and a model.*openai-community/gpt2"),
        ("hf://", "does not name an owner and a model"),
        ("hf:///model", "the name of the owner is empty"),
        ("hf://org/", "does not name an owner and a model"),
        ("hf://org//", "the name of the model is empty"),
        ("hf://org/:main", "the name of the model is empty"),
        ("hf://org/model:", "the revision after the colon is empty"),
        ("hf://org/model/config.json", "goes on below a repository.*STORAGE_ALLOW_PATTERNS"),
        ("hf://org/model//", "goes on below a repository"),
        ("hf://datasets/org/data", "only models are fetched"),
        ("hf://../model", r"'\.\.' cannot be the name of a owner|'\.\.' cannot be the name of an owner"),
        ("hf://org/a..b", "cannot be the name of"),
        ("hf://org/a b", "cannot be the name of"),
        ("hf://org/a?b", "cannot be the name of"),
        ("hf://org/model:a b", "cannot be a revision"),
        ("hf://org/model:../../other", "cannot be a revision"),
        ("hf://org/model:a\r\nb", "cannot be a revision"),
    ],
)
def test_an_address_of_another_form_is_told_what_is_wrong(uri: str, match: str) -> None:
    with pytest.raises(errors.StorageError, match=match):
        Repository.parse(uri)
