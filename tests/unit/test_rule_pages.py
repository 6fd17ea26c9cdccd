"""Taking docs/rules.md apart: what the document of today must hold is checked by tests/test_docs.py."""

from __future__ import annotations

from bulkmsg import rule_pages
from bulkmsg.rule_pages import Example, parse

DOCUMENT = """\
# Rules

Prose that belongs to no rule.

## Reading

### BM104

error: a key is given twice

**What.** One entry has the same field
two times.

**Why.** The other would be lost.

**Way out.** Take one out: `a: 1`.

Wrong:

<!-- wrong -->
```yaml
# a comment
a: 1

a: 2
```

Right:

<!-- right -->
```yaml
a: 1
```

<!-- right -->
```csv
a
1
```

## Values

### BM411

warning: a body is too large: much

**What.** Large.

**No example.** It would be long.
"""


def test_a_page_in_parts() -> None:
    first, _ = parse(DOCUMENT)
    assert (first.rule, first.group, first.severity, first.title) == (
        "BM104",
        "Reading",
        "error",
        "a key is given twice",
    )
    assert first.what == "One entry has the same field two times."
    assert first.why == "The other would be lost."
    assert first.way_out == "Take one out: `a: 1`."
    assert first.wrong == (Example("yaml", "# a comment\na: 1\n\na: 2\n"),)
    assert first.right == (Example("yaml", "a: 1\n"), Example("csv", "a\n1\n"))
    assert first.no_example == ""


def test_what_is_not_there_is_empty_and_a_title_may_hold_a_colon() -> None:
    _, second = parse(DOCUMENT)
    assert (second.group, second.severity, second.title) == ("Values", "warning", "a body is too large: much")
    assert (second.why, second.way_out, second.wrong, second.right) == ("", "", (), ())
    assert second.no_example == "It would be long."


def test_the_document_lies_beside_the_package_or_in_it() -> None:
    assert rule_pages.text().startswith("# Rules\n")
