"""The HuJSON tree: it covers every valid text, and reports a malformed one by line and column."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from tailwart.tailnet.hujson import Document, HuJSONError, Node, value
from tests.unit.tailnet.policies import policies


def test_reads_comments_and_trailing_commas() -> None:
    document = Document('// a\n{"a": /* b */ [1, 2.5e3, true, null, "x\\u00e9//",], /* c */ }\r\n// end\n')
    assert document.root is not None
    assert value(document.root) == {"a": [1, 2500.0, True, None, "xé//"]}


def test_a_text_of_comments_has_no_root() -> None:
    assert Document("// nothing here\n/* yet */").root is None


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"a": 1', 1, 8),
        ('{\n  "a" 1}', 2, 7),
        ("{\n\n  a: 1}", 3, 3),
        ("{'a': 1}", 1, 2),
        ('{"a": [1 2]}', 1, 10),
        ('{"a": tru}', 1, 7),
        ('{"a": 01}', 1, 7),
        ('{"a": "x\ny"}', 1, 7),
        ('{"a": "\\q"}', 1, 7),
        ('{"a": 1,,}', 1, 9),
        ("[,]", 1, 2),
        ("{} {}", 1, 4),
        ("{ /* never closed }", 1, 3),
        ("<!DOCTYPE html>", 1, 1),
        ("\ufeff{}", 1, 1),
        ("{} // the end", 1, 4),
        ("{}\n/* the end", 2, 1),
        ("{\u2028}", 1, 2),
        ('{"a"\u2028: 1}', 1, 5),
        ("{}\u2028", 1, 3),
        ("{\xa0}", 1, 2),
        ('{"a": "\\ud800"}', 1, 7),
        ("[" * 5000, 1, 101),
    ],
)
def test_malformed_text_is_reported_by_line_and_column(text: str, line: int, column: int) -> None:
    with pytest.raises(HuJSONError) as caught:
        Document(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert f"line {line}, column {column}" in str(caught.value)


@given(policies())
def test_the_tree_covers_the_text_without_gaps(text: str) -> None:
    document = Document(text)
    assert document.root is not None
    _check_spans(document.text, document.root)


@given(policies())
def test_lines_agree_with_the_text(text: str) -> None:
    document = Document(text)
    assert document.root is not None
    for item in document.root.items:
        assert document.line(item.start) == text.count("\n", 0, item.start) + 1


def _check_spans(text: str, node: Node) -> None:
    if node.kind == "string":
        assert json.loads(text[node.start : node.end]) == node.scalar
    if node.kind in ("object", "array"):
        assert text[node.start] + text[node.end - 1] in ("{}", "[]")
        position = node.start + 1
        for item in node.items:
            assert item.start >= position
            _check_spans(text, item.node)
            position = item.end
            if item.comma is not None:
                assert text[item.comma] == ","
                position = item.comma + 1
        assert position <= node.end - 1
