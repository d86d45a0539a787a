"""Splices on any text: what is not named stays, wherever the white space, commas and comments are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart.tailnet import splice
from tailwart.tailnet.hujson import Document, Node, value
from tailwart.tailnet.layout import Text
from tests.unit.tailnet.policies import policies


def containers(node: Node) -> list[Node]:
    """A node and all that it holds, as far as something can be removed from them."""
    inner = [found for item in node.items for found in containers(item.node)]
    return [node, *inner] if node.items else inner


@given(policies(), st.data())
def test_any_items_can_be_removed_and_the_rest_stays(text: str, data: st.DataObject) -> None:
    document = Document(text)
    assert document.root is not None
    choices = containers(document.root)
    if not choices:
        return
    container = data.draw(st.sampled_from(choices))
    doomed = data.draw(st.sets(st.integers(0, len(container.items) - 1), min_size=1))
    kept_comments = [
        comment
        for offset, comment in document.comments(0, len(text))
        if not any(container.items[index].start <= offset < container.items[index].end for index in doomed)
    ]
    kept_values = [_pair(container, index) for index in range(len(container.items)) if index not in doomed]

    after = Document(splice.apply(text, splice.remove(document, container, doomed)))

    assert [comment for _, comment in after.comments(0, len(after.text))] == kept_comments
    assert after.root is not None
    same = _same_place(document.root, after.root, container)
    assert [_pair(same, index) for index in range(len(same.items))] == kept_values


@given(policies(), st.data())
def test_inserting_into_any_container_and_removing_again_is_nothing(text: str, data: st.DataObject) -> None:
    document = Document(text)
    assert document.root is not None
    every = _composites(document.root)
    container = data.draw(st.sampled_from(every))
    long = ("[", "\t/* a */", "\t1,", "]")
    items = [Text("[/* a */ 1]", long), Text('"x"')]
    if container.kind == "object":
        items = [
            item.behind(f'"new{number}": ') if item.lines else Text('"new2": 2') for number, item in enumerate(items)
        ]
    count = len(container.items)
    after = Document(splice.apply(text, splice.insert(document, container, items)))
    assert after.root is not None
    grown = _same_place(document.root, after.root, container)
    assert len(grown.items) == count + 2
    doomed = {count, count + 1}
    assert splice.apply(after.text, splice.remove(after, grown, doomed)) == text


@pytest.mark.parametrize(
    ("text", "doomed", "left"),
    [
        ("[ // none\n\tX,\n\tY,\n]", {0, 1}, "[ // none\n]"),
        ("[\n a, // c\n X,\n Y]", {1, 2}, "[\n a // c\n]"),
        ("[\n a, // c\n X, b]", {1}, "[\n a, // c\n b]"),
        ("[X, // mine\n b]", {0}, "[ // mine\n b]"),
        ("[a /* odd */ , X]", {1}, "[a /* odd */ ]"),
    ],
)
def test_nothing_slides_into_a_comment(text: str, doomed: set[int], left: str) -> None:
    quoted = text.replace("a,", '"a",').replace("X", '"X"').replace("Y", '"Y"').replace("b]", '"b"]')
    quoted = quoted.replace("[a ", '["a" ')
    document = Document(quoted)
    assert document.root is not None
    after = splice.apply(quoted, splice.remove(document, document.root, doomed))
    assert "".join(after.replace('"', "").split()) == "".join(left.split())
    Document(after)


def _pair(container: Node, index: int) -> tuple[object, object]:
    item = container.items[index]
    return (item.key.scalar if item.key else None, value(item.node))


def _composites(node: Node) -> list[Node]:
    inner = [found for item in node.items for found in _composites(item.node)]
    return [node, *inner] if node.kind in ("object", "array") else inner


def _same_place(before: Node, after: Node, container: Node) -> Node:
    """The node of the new tree that is where ``container`` was in the old one."""
    if before is container:
        return after
    for old, new in zip(before.items, after.items, strict=False):
        if old.node.start <= container.start < old.node.end:
            return _same_place(old.node, new.node, container)
    raise AssertionError("the container is not in the tree")
