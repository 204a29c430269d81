"""A recipe has one encoding, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.cid import Cid
from cid_store.encoding import NodeLike, encode
from cid_store.errors import MalformedNodeError
from cid_store.tiers import Account, Books, Recipe, Tier, encode_recipe, parse_recipe

ONE, TWO = Cid.of(b"one"), Cid.of(b"two")


@given(
    how=st.text(),
    needs=st.lists(st.binary().map(Cid.of), unique=True),
    fields=st.dictionaries(st.sampled_from(["container", "frame", "output"]), st.integers(0, 99)),
)
def test_a_recipe_comes_back_as_it_was(how: str, needs: list[Cid], fields: dict[str, int]) -> None:
    recipe = Recipe(how, tuple(needs), fields)
    assert parse_recipe(encode_recipe(recipe)) == recipe


def test_a_need_is_listed_once() -> None:
    assert parse_recipe(encode_recipe(Recipe("how", (ONE, TWO, ONE), {}))).needs == (ONE, TWO)


@pytest.mark.parametrize(
    "node",
    [
        {"type": "recipe", "v": 2, "how": "how", "needs": []},
        {"type": "recipe", "v": 1, "how": "how"},
        {"type": "recipe", "v": 1, "how": 1, "needs": []},
        {"type": "recipe", "v": 1, "how": "how", "needs": ["one"]},
        {"type": "recipe", "v": 1, "how": "how", "needs": [ONE, ONE]},
        {"type": "tree", "v": 1, "how": "how", "needs": []},
        [],
    ],
)
def test_what_is_no_recipe_is_refused(node: NodeLike) -> None:
    with pytest.raises(MalformedNodeError, match="no recipe of version 1"):
        parse_recipe(encode(node))


def test_the_books_add_up() -> None:
    books = Books(Account(1, 2, 3, 0.0), Account(4, 5, 6, 0.5), Account(7, 8, 9, 2.0))
    assert books.total == (12, 15, 18, 2.5)
    assert [books.of(tier) for tier in Tier] == list(books)
