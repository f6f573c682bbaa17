from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from benchmarks.workloads.templates import Template, TemplateError, template_at


def rendered(text: str, **values: object) -> object:
    return Template(f"value: {text}").render(values)["value"]


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        pytest.param("{{.Index}}", {"Index": 3}, 3, id="number"),
        pytest.param("{{ .name }}", {"name": "web"}, "web", id="text"),
        pytest.param('"{{.flag}}"', {"flag": True}, "true", id="bool as Go prints it"),
        pytest.param('"{{.absent}}"', {}, "<no value>", id="not set"),
        pytest.param("{{or .absent 10}}", {}, 10, id="otherwise"),
        pytest.param("{{or .there 10}}", {"there": 2}, 2, id="not otherwise"),
        pytest.param('"{{or .zero "no"}}"', {"zero": 0}, "no", id="zero counts as not set"),
        pytest.param("{{(or .absent 4) | Int}}", {}, 4, id="pipe"),
        pytest.param("{{(or .absent nil) | JSON}}", {}, None, id="JSON of nothing"),
        pytest.param("{{.list | JSON}}", {"list": [{"a": "b<c"}]}, [{"a": "b<c"}], id="JSON"),
        pytest.param("{{AddInt 7000 (Mod .Index (DivideInt .a .b))}}", {"Index": 5, "a": 9, "b": 2},
                     7001, id="functions in functions"),
        pytest.param("{{DivideInt -7 2}}", {}, -3, id="toward zero"),
        pytest.param("{{Mod -7 2}}", {}, -1, id="remainder with the sign of the dividend"),
        pytest.param("{{MultiplyInt 2 3 4}}", {}, 24, id="product of many"),
        pytest.param("{{SubtractInt 2 3}}", {}, -1, id="difference"),
        pytest.param("{{AddFloat 1 2}}", {}, 3.0, id="float"),
        pytest.param('{{AddInt 0 "12"}}', {}, 12, id="number in a text"),
        pytest.param("{{if .a}}1{{else}}2{{end}}", {"a": "x"}, 1, id="if"),
        pytest.param("{{if .a}}1{{else}}2{{end}}", {"a": ""}, 2, id="else"),
        pytest.param('{{if eq .a "x"}}1{{end}}', {"a": "x"}, 1, id="equal"),
        pytest.param("{{if ge .a 3}}1{{else}}2{{end}}", {"a": 3}, 1, id="not less"),
        pytest.param("[{{range (.n | Int)}}{{.}},{{end}}]", {"n": 3}, [0, 1, 2], id="range of n"),
        pytest.param("[{{range $i := (.n | Int)}}{{$i}},{{end}}]", {"n": 2}, [0, 1],
                     id="range with a name"),
        pytest.param("[{{range .list}}{{.}},{{end}}]", {"list": ["a", "b"]}, ["a", "b"],
                     id="range over a list"),
        pytest.param("[ a\n{{- 5 -}} \n]", {}, ["a5"], id="trimmed"),
    ],
)  # fmt: skip
def test_an_action_prints_its_value(text: str, values: dict[str, object], expected: object) -> None:
    assert rendered(text, **values) == expected


def test_variables_hold_until_the_end_and_inside_ranges() -> None:
    template = Template(
        dedent("""\
        {{$roots := or .roots 2}}
        kind: Slice
        devices:{{range $at := (.n | Int)}}
        - name: gpu-{{$at}}
          root: "{{Mod $at $roots}}"{{if ge $at 1}}
          late: true{{end}}{{end}}
        """)
    )
    assert template.render({"n": 2}) == {
        "kind": "Slice",
        "devices": [
            {"name": "gpu-0", "root": "0"},
            {"name": "gpu-1", "root": "1", "late": True},
        ],
    }


def test_objects_of_a_constant_template_are_not_shared() -> None:
    template = Template("metadata: {labels: {a: b}}")
    template.render({})["metadata"]["labels"]["a"] = "c"
    assert template.render({}) == {"metadata": {"labels": {"a": "b"}}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{{printf .a}}", "no such function: printf in 'printf .a'", id="function"),
        pytest.param("{{if .a}}x", "an if has no end", id="if"),
        pytest.param("{{range .a}}x{{else}}y{{end}}", "a range has no end", id="range"),
        pytest.param("x{{end}}", "'end' ends nothing", id="end"),
        pytest.param("{{(or .a 1}}", "a parenthesis has no end in '(or .a 1'", id="parenthesis"),
        pytest.param("{{.a .b}}", "not understood: '.a .b'", id="two values"),
        pytest.param("{{a ? b}}", "cannot read ' ? b' in 'a ? b'", id="mark"),
    ],
)
def test_what_is_not_understood_is_refused_when_read(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as refused:
        Template(text, name="pod.yaml")
    assert str(refused.value) == f"pod.yaml: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{{Mod 1 0}}", "division by zero", id="Mod"),
        pytest.param("{{DivideInt 1 0}}", "division by zero", id="DivideInt"),
        pytest.param("{{Int .a}}", "not a number: None", id="not a number"),
        pytest.param("{{range .a}}{{end}}", "cannot range over None", id="range"),
        pytest.param("- {{1}}", "no object but [1]", id="a list"),
    ],
)
def test_what_cannot_be_done_names_the_template(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as refused:
        Template(text, name="pod.yaml").render({})
    assert str(refused.value) == f"pod.yaml: {message}"


def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text("kind: Pod")
    assert template_at(path) is template_at(path)
