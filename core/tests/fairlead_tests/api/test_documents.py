"""Text becomes plain data: as Kubernetes' tools read it, within bounds, and without a second meaning."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fairlead import errors
from fairlead.api import documents, scalars

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{last}'] * 9)}]\n" for last, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{k: [{','.join([f'*{last}'] * 99)}]}}\n" for last, name in zip("abcd", "bcde", strict=True)
)


def value(text: str) -> Any:
    (found,) = documents.split(text, "x.yaml")
    return found.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("yes", True),
        ("Off", False),
        ("y", "y"),
        ("12", 12),
        ("-12", -12),
        ("1_000", 1000),
        ("0644", 420),
        ("0o644", 420),
        ("0x1F", 31),
        ("0b101", 5),
        ("0b_", "0b_"),
        ("0", 0),
        ("1.50", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("08", 8.0),
        ("1.2.3", "1.2.3"),
        ("-x", "-x"),
        ("12:30", "12:30"),
        ("2026-01-02", "2026-01-02"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("'12'", "12"),
        ('"null"', "null"),
        ("! 12", "12"),
        ("!!str 12", "12"),
        ("!!float 12", 12.0),
        ("!!int '12'", 12),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("=", "="),
    ],
)
def test_scalars_are_what_kubernetes_reads(text: str, expected: object) -> None:
    found = value(f"a: {text}")["a"]
    assert found == expected
    assert type(found) is type(expected)


def test_null_is_kept_in_an_object() -> None:
    assert value("{a: null, b: ~, c: }") == {"a": None, "b": None, "c": None}


def test_anchors_are_values_of_their_own() -> None:
    found = value("a: &x {k: [1]}\nb: *x\nc: {<<: *x, j: 2}\nd: {<<: [{k: 1}, *x], k: 3}\n")
    assert found == {"a": {"k": [1]}, "b": {"k": [1]}, "c": {"k": [1], "j": 2}, "d": {"k": 3}}
    found["b"]["k"].append(2)
    assert found["a"] == {"k": [1]}
    assert found["c"]["k"] == [1]


def test_a_quoted_merge_key_is_a_key() -> None:
    assert value('{"<<": 1, a: 2}\n# not JSON') == {"<<": 1, "a": 2}


def test_an_anchor_may_be_given_again() -> None:
    assert value("[&a 1, *a, &a 2, *a]") == [1, 1, 2, 2]


def test_anchors_end_with_their_document() -> None:
    with pytest.raises(errors.InvalidManifest, match=r"x\.yaml:3: there is no complete anchor &a above the alias \*a"):
        documents.split("a: &a 1\n---\nb: *a\n", "x.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", "x.yaml:3: the key 'a' is there twice, first in line 1."),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "x.yaml: the key 'c' is there twice."),
        ("a: &a [*a]", "x.yaml:1: there is no complete anchor &a above the alias *a."),
        ("a:\n  1: b", "x.yaml:2: the key 1 is no text; write it in quotes."),
        ("on: b", "x.yaml:1: the key true is no text; write it in quotes."),
        ("? [a]\n: b", 'x.yaml:1: the key ["a"] is no text; write it in quotes.'),
        ("<<: 1", "x.yaml:1: << merges objects, and this is none."),
        ("a: !!python/tuple [x]", "x.yaml:1: the tag tag:yaml.org,2002:python/tuple is not allowed."),
        ("a: !!binary eA==", "x.yaml:1: the tag tag:yaml.org,2002:binary is not allowed."),
        ("a: !own x", "x.yaml:1: the tag !own is not allowed."),
        ("a: !!int x", "x.yaml:1: it is not of the type !!int."),
        ("a: .nan", "x.yaml:1: .nan is no number that JSON has."),
        ("a: -.inf", "x.yaml:1: -.inf is no number that JSON has."),
        ('{"a": Infinity}', "x.yaml: Infinity is no number that JSON has."),
        ("a: 1e999", "x.yaml:1: it is too large for a number."),
        ("a: 1\n b: 2", "x.yaml:2: this is not YAML: mapping values are not allowed in this context."),
        ('{"a": "\\ud800"}', "x.yaml: it holds half of a pair of surrogates, which is no character."),
        ("a: \ud800", "x.yaml: it holds half of a pair of surrogates, which is no character."),
    ],
)  # fmt: skip
def test_what_has_no_one_meaning_is_refused(text: str, expected: str) -> None:
    with pytest.raises(errors.InvalidManifest) as raised:
        documents.split(text, "x.yaml")
    assert str(raised.value) == expected


def test_a_number_of_very_many_digits_is_refused() -> None:
    with pytest.raises(errors.InvalidManifest, match="too large for a number"):
        documents.split(f"a: {'9' * 100_000}", "x.yaml")


def test_a_character_that_yaml_does_not_allow_is_refused() -> None:
    with pytest.raises(errors.InvalidManifest, match=r"^x\.yaml: this is not YAML: .*\.$"):
        documents.split("a: \x01", "x.yaml")


@pytest.mark.parametrize("text", [BOMB, MERGE_BOMB], ids=["of lists", "of objects"])
def test_aliases_do_not_grow_beyond_the_limit(text: str) -> None:
    assert len(text) < 2000
    with pytest.raises(errors.InvalidManifest, match=r"its aliases make more than 1048576 bytes of it\."):
        documents.split(text, "x.yaml")


@pytest.mark.parametrize(
    "text", ["[" * 200, '{"a":' * 200 + "1" + "}" * 200, '{"a":' * 100_000], ids=["YAML", "JSON", "open"]
)
def test_what_nests_too_deep_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidManifest, match="it nests more than 100 levels deep"):
        documents.split(text, "x.yaml")


def test_a_long_text_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(errors.InvalidManifest, match=r"^x\.yaml: it has 1048577 bytes, and may have 1048576\.$"):
        documents.split("[" * (documents.MOST_BYTES + 1), "x.yaml")


def test_the_limit_counts_bytes_and_can_be_set() -> None:
    assert documents.split("ää", "x.yaml", max_bytes=4)[0].value == "ää"
    with pytest.raises(errors.InvalidManifest, match="it has 4 bytes, and may have 3"):
        documents.split("ää", "x.yaml", max_bytes=3)


def test_a_line_is_that_of_the_nearest_thing_that_has_one() -> None:
    (found,) = documents.split("# first\na:\n  b:\n  - 1\n  - c: 2\n", "x.yaml")
    assert found.line(()) == 2
    assert found.line(("a", "b", 1, "c")) == 5
    assert found.line(("a", "b", 0)) == 4
    assert found.line(("a", "z")) == 2
    assert found.line(("z", "z")) == 2
    assert found.place(("a", "b")) == "x.yaml:3"


def test_the_parser_in_python_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &x [1, 'b', {c: null}]\nd: *x\ne: |\n  text\n---\nf: 1\n"
    expected = [(each.value, each.line(("d",))) for each in documents.split(text, "x.yaml")]
    monkeypatch.setattr(documents, "_LOADER", yaml.SafeLoader)
    assert [(each.value, each.line(("d",))) for each in documents.split(text, "x.yaml")] == expected


def test_a_tag_of_json_holds_its_type() -> None:
    assert scalars.tagged("1", "tag:yaml.org,2002:float") == 1.0
    with pytest.raises(ValueError, match="not of the type !!bool"):
        scalars.tagged("1", "tag:yaml.org,2002:bool")
