"""Placeholders in containers and address templates."""

from __future__ import annotations

import pytest

from fairlead import errors
from fairlead.resolve import placeholders

KNOWN = placeholders.scope("iris", "flowers", labels={"team": "botany"}, annotations={"modelFormat": "sklearn"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--name={{.Name}}", "--name=iris"),
        ("{{ .Name }}-{{.Namespace}}", "iris-flowers"),
        ("{{.Labels.team}}/{{ .Annotations.modelFormat }}", "botany/sklearn"),
        ("a {{- .Name -}} b", "airisb"),
        ("a {{- .Name }} b", "airis b"),
        ("a {{ .Name -}}\n{{.Name}}", "a irisiris"),
        ("{ {.Name} }", "{ {.Name} }"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
    ],
)
def test_placeholders_are_filled_in(text: str, expected: str) -> None:
    assert placeholders.rendered(text, KNOWN, "here") == expected


def test_a_label_that_is_not_there_renders_as_go_does() -> None:
    assert placeholders.rendered("{{.Labels.modelClass}}", KNOWN, "here") == "<no value>"


def test_every_text_of_a_container_is_rendered_and_the_rest_stays() -> None:
    container = {
        "args": ["{{.Name}}"],
        "env": [{"name": "N", "value": "{{.Namespace}}"}],
        "ports": [{"n": 1}],
        "t": True,
    }
    assert placeholders.rendered(container, KNOWN, "here") == {
        "args": ["iris"],
        "env": [{"name": "N", "value": "flowers"}],
        "ports": [{"n": 1}],
        "t": True,
    }


def test_what_a_placeholder_stands_for_is_not_rendered_again() -> None:
    known = placeholders.scope("iris", "flowers", labels={"x": "{{.Name}}"})
    assert placeholders.rendered("{{.Labels.x}}", known, "here") == "{{.Name}}"


@pytest.mark.parametrize(
    "text",
    [
        "{{.Nme}}",
        "{{.Labels}}",
        "{{.Name.x}}",
        '{{index .Labels "a/b"}}',
        "{{if .Name}}x{{end}}",
        "{{/* no */}}",
        "{{}}",
        "{{.Spec.Predictor}}",
    ],
)
def test_anything_else_of_go_templates_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(errors.Unresolvable, match="no placeholder that is known") as caught:
        placeholders.rendered(f"--x={text}", KNOWN, "The container x")
    assert caught.value.condition == "InvalidPredictorSpec"
    assert text.partition("}}")[0] in str(caught.value)
    assert "{{.Labels.x}}" in str(caught.value)


def test_a_placeholder_that_is_not_closed_is_an_error() -> None:
    with pytest.raises(errors.Unresolvable, match="does not close it"):
        placeholders.rendered("a {{.Name}} {{.Name", KNOWN, "here")


def test_a_million_opening_braces_are_refused_at_once() -> None:
    with pytest.raises(errors.Unresolvable):
        placeholders.rendered("{{" * 500_000, KNOWN, "here")


def test_a_long_text_with_many_placeholders_is_rendered() -> None:
    assert placeholders.rendered("{{.Name}} " * 50_000, KNOWN, "here") == "iris " * 50_000
