"""Templates: what they can do, what they say when they cannot, and what they must never be able to do."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bulkmsg.template import Template, TemplateTrouble, has_marks, identifier

COLUMNS = ("First name", "order_no", "email", "Text, long")
ROW = {"First name": "Jane", "order_no": "5", "email": "jane@example.com", "Text, long": "{{ email }} & <b>"}


def fill(text: str, row: dict[str, str] | None = None, field: str = "body_text") -> str:
    template = Template({field: text}, COLUMNS)
    assert template.troubles == []
    value, troubles = template.render(ROW if row is None else row, COLUMNS)
    assert troubles == []
    return str(value[field])


def refused(text: str, row: dict[str, str] | None = None) -> TemplateTrouble:
    template = Template({"body_text": text}, COLUMNS)
    if template.broken:
        [trouble] = template.troubles
        assert not trouble.of_row
        return trouble
    [trouble] = template.render(ROW if row is None else row, COLUMNS)[1]
    return trouble


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Hi {{ first_name }}", "Hi Jane"),
        ('Hi {{ row["First name"] }}', "Hi Jane"),
        ("{{ text_long }}", "{{ email }} & <b>"),
        ("{{ first_name | upper }} {{ first_name.lower() }}", "JANE jane"),
        ("{{ email.split('@')[0] }}", "jane"),
        ("{{ order_no | int + 1 }}", "6"),
        ("{{ '%.2f' | format(order_no | float * 1.5) }}", "7.50"),
        ("{% if order_no == '5' %}five{% else %}other{% endif %}", "five"),
        ("{% set name = first_name ~ '!' %}{{ name }}", "Jane!"),
        ("{% for part in email.split('@') %}[{{ part }}]{% endfor %}", "[jane][example.com]"),
        ("{% for name, cell in row.items() %}{{ loop.index }}{% endfor %}", "1234"),
        ("a{# a remark #}b", "ab"),
        ("a{{ 'x' if order_no == '6' }}b", "ab"),
        ("{{ '{{' }} stays", "{{ stays"),
        ("{% raw %}{{ first_name }}{% endraw %}", "{{ first_name }}"),
        ("two\nlines {{ first_name }}\n", "two\nlines Jane\n"),
        ("no marks at all", "no marks at all"),
    ],
)
def test_texts_are_filled_in(text: str, filled: str) -> None:
    assert fill(text) == filled


def test_a_cell_is_never_a_template() -> None:
    row = {**ROW, "First name": "{{ email }}{% for x in y %}"}
    assert fill("{{ first_name }}", row) == "{{ email }}{% for x in y %}"


@pytest.mark.parametrize("field", ["body_html", "stripped_html"])
def test_values_in_html_are_escaped(field: str) -> None:
    assert fill("<p>{{ text_long }}</p>", field=field) == "<p>{{ email }} &amp; &lt;b&gt;</p>"
    assert fill("{{ '<' ~ text_long }}", field=field) == "&lt;{{ email }} &amp; &lt;b&gt;"
    assert fill("{{ text_long | safe }}", field=field) == "{{ email }} & <b>"
    assert fill("{{ text_long }}", field="body_text") == "{{ email }} & <b>"


def test_only_texts_are_filled_in_and_the_rest_stays() -> None:
    value: dict[str, Any] = {"a": 5, "b": [True, "{{ email }}", None], "c": {"d": "{{ order_no }}"}}
    found, troubles = Template(value, COLUMNS).render(ROW, COLUMNS)
    assert found == {"a": 5, "b": [True, "jane@example.com", None], "c": {"d": "5"}}
    assert troubles == []
    assert value["b"][1] == "{{ email }}"


# -- columns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "name"),
    [("First name", "first_name"), ("E-mail", "e_mail"), (" Order  no. ", "order_no"), ("Prénom", "prénom"), ("#", "")],
)
def test_identifiers(column: str, name: str) -> None:
    assert identifier(column) == name


def test_an_empty_cell_is_an_error_at_the_row_unless_there_is_a_default() -> None:
    row = {"email": "jane@example.com"}
    trouble = refused("Hi {{ first_name }}", row)
    assert (trouble.rule, trouble.of_row, trouble.path) == ("BM601", True, ("body_text",))
    assert "`first_name`" in trouble.message and "empty" in trouble.message
    assert refused('{{ row["First name"] }}', row).rule == "BM601"
    assert fill("Hi {{ first_name | default('there') }}", row) == "Hi there"
    assert fill('Hi {{ row["First name"] | d("there") }}', row) == "Hi there"
    assert fill("{% if first_name is defined %}x{% else %}y{% endif %}", row) == "y"


@pytest.mark.parametrize("text", ["{{ first_nmae }}", '{{ row["Frist name"] }}', "{{ 'x' if firstname else 'y' }}"])
def test_an_unknown_column_is_an_error_of_the_template(text: str) -> None:
    trouble = refused(text)
    assert trouble.rule == "BM601"
    assert "no such column" in trouble.message
    assert trouble.hint.startswith("did you mean `")


def test_an_unknown_column_with_a_default_draws_a_warning() -> None:
    template = Template({"body_text": "Hi {{ first_nmae | default('there') }}"}, COLUMNS)
    assert [trouble.rule for trouble in template.troubles] == ["BM603"]
    assert not template.broken
    assert template.render(ROW, COLUMNS)[0] == {"body_text": "Hi there"}


def test_two_columns_of_one_name_are_an_error_only_where_it_is_used() -> None:
    columns = ("E-mail", "E mail")
    row = {"E-mail": "a", "E mail": "b"}
    [trouble] = Template({"x": "{{ e_mail }}"}, columns).troubles
    assert trouble.rule == "BM601" and "could be any of" in trouble.message
    assert Template({"x": '{{ row["E mail"] }}'}, columns).render(row, columns) == ({"x": "b"}, [])
    exact = ("E-mail", "e_mail")
    assert Template({"x": "{{ e_mail }}"}, exact).render({"E-mail": "a", "e_mail": "b"}, exact) == ({"x": "b"}, [])


def test_rows_with_columns_of_their_own_are_asked_one_by_one() -> None:
    template = Template({"x": "{{ name }}"}, None)
    assert template.troubles == []
    assert template.render({"Name": "Ann"}, ("Name",)) == ({"x": "Ann"}, [])
    [empty] = template.render({}, ("name",))[1]
    [absent] = template.render({"nmae": "x"}, ("nmae",))[1]
    assert "cell is empty" in empty.message
    assert "no such field" in absent.message and absent.hint == "did you mean `nmae`?"


def test_a_message_never_shows_what_a_cell_holds() -> None:
    private = {**ROW, "First name": "xyzzy"}
    for text in ("{{ row[first_name] }}", "{{ first_name * 2 }}", "{{ first_name | int + first_name }}"):
        trouble = refused(text, private)
        assert "xyzzy" not in trouble.message + trouble.hint


# -- what is wrong with a template ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "{{ first_name",
        "{{ }}",
        "{% if %}",
        "{{ a b }}",
        "{% endfor %}",
        "{{ 'x' | nosuch }}",
        "{{ 1 is nosuch }}",
        "{% x %}",
    ],
)
def test_what_is_not_well_formed(text: str) -> None:
    trouble = refused(text)
    assert trouble.rule == "BM602" and trouble.hint


@pytest.mark.parametrize(
    "text", ["{{ none }}", "{{ first_name.upper }}", "{{ 1 / 0 }}", "{{ [1][9] }}", "{{ email | int(1, 2, 3) }}"]
)
def test_what_gives_nothing_is_an_error_and_no_text(text: str) -> None:
    trouble = refused(text)
    assert trouble.rule == "BM602" and trouble.of_row


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ row.__init__.__globals__ }}",
        "{{ first_name.format(email) }}",
        "{{ '{0.__class__}'.format(email) }}",
        "{{ row.update({'x': 1}) }}",
        "{{ row.pop('email') }}",
        "{{ range(5) }}",
        "{{ lipsum() }}",
        "{{ cycler('a') }}",
        "{{ self }}",
        "{{ row | attr('__class__') }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% macro a() %}{% endmacro %}",
        "{% block a %}{% endblock %}",
        "{% call a() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
    ],
)
def test_what_a_template_cannot_reach(text: str) -> None:
    assert refused(text).rule in ("BM602", "BM601")


BOMBS = {
    "powers": "{{ 9 ** 9 ** 9 }}",
    "multiplied text": "{{ 'a' * 1000000000 }}",
    "multiplied lists": "{{ [1] * 1000000000 }}",
    "multiplied numbers": "{% set a = 99999999999999999999 %}" + "{% set a = a * a %}" * 40 + "{{ a }}",
    "doubled text": "{% set a = big %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    "added text": "{% set a = big %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
    "added lists": "{% set a = [1, 2, 3, 4] %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
    "joined": "{{ big | join(big) }}",
    "replaced": "{{ big | replace('x', big) }}",
    "replaced between letters": "{{ big | replace('', big) }}",
    "formatted": "{{ '%1000000000d' | format(5) }}",
    "formatted by argument": "{{ '%*d' | format(1000000000, 5) }}",
    "old format": "{{ '%1000000000d' % 5 }}",
    "repeated output": "{{ big }}" * 100,
    "loops in loops": "{% for a in big %}{% for b in big %}{% for c in big %}x{% endfor %}{% endfor %}{% endfor %}",
    "a long loop": "{% for a in big %}{{ big }}{% endfor %}",
    "a loop of long texts": "{% for a in [1, 2, 3, 4, 5, 6, 7, 8, 9] %}{{ big }}{{ big }}{% endfor %}",
    "a recursive loop": "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "parentheses": "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
    "brackets": "{{ " + "[" * 20_000 + "]" * 20_000 + " }}",
    "a long sum": "{{ " + "1+" * 20_000 + "1 }}",
    "many expressions": "{{ big }}" * 5_000,
    "long expressions": "{{ big" + " | upper" * 50_000 + " }}",
    "digits": "{{ " + "9" * 6_000 + " }}",
    "a huge number": "{{ (big | length) * 10000000000000000000000000000000000000000000000 * 100000000000000000 }}" * 3,
}


@pytest.mark.parametrize("what", BOMBS)
def test_bombs_are_answered_at_once(what: str) -> None:
    row = {"big": "x" * 1_000_000}
    begun = time.process_time()
    template = Template({"body_text": BOMBS[what]}, ("big",))
    troubles = template.troubles or template.render(row, ("big",))[1]
    assert time.process_time() - begun < 2
    if what != "a huge number":
        assert [trouble.rule for trouble in troubles] == ["BM602"]


def test_the_bounds_hold_for_a_template_as_a_whole() -> None:
    template = Template({f"field_{number}": "{{ email }}" for number in range(3_000)}, COLUMNS)
    assert template.broken


def test_nul_and_half_characters_are_no_text() -> None:
    for text in (r"{{ '\ud800' }}", r"{{ '\x00' }}", r"{{ '\0' }}"):
        assert refused(text).rule == "BM602"


def test_has_marks() -> None:
    assert has_marks("{{ a }}") and has_marks("{% a %}") and has_marks("{# a #}")
    assert not has_marks("a { b } %")
