"""What `frozen` makes is what ``dataclass(frozen=True, slots=True)`` would have made."""

import pickle
from copy import copy
from dataclasses import dataclass, field, fields, replace

import pytest

from vxlanalyze.frozen import frozen


@frozen
class Ours:
    """Made here."""

    name: str
    sizes: tuple[int, ...] = ()
    seen: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Theirs:
    """Made by the standard library."""

    name: str
    sizes: tuple[int, ...] = ()
    seen: dict[str, int] = field(default_factory=dict)


@frozen
class Other:
    """Has the same fields as a part of Ours."""

    name: str
    sizes: tuple[int, ...] = ()


def test_values_make_equal():
    assert Ours("a", (1,)) == Ours("a", sizes=(1,)) != Ours("a", (2,))
    assert Other("a") == Other("a")
    assert Ours("a") != Other("a") != ("a", ())


def test_values_make_the_hash():
    assert {Other("a"), Other("a"), Other("b")} == {Other("b"), Other("a")}
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours("a"))


def test_it_shows_its_values():
    assert repr(Ours("a", (1,))) == repr(Theirs("a", (1,))).replace("Theirs", "Ours")


def test_the_tools_of_dataclasses_work():
    changed = replace(Ours("a"), sizes=(1, 2))

    assert changed == Ours("a", (1, 2))
    assert [f.name for f in fields(changed)] == [f.name for f in fields(Theirs)]


def test_it_is_copied_and_sent():
    made = Ours("a", (1,), {"b": 2})

    assert copy(made) == made == pickle.loads(pickle.dumps(made))


def test_defaults_are_not_shared():
    assert Ours("a").seen is not Ours("a").seen


def test_there_is_no_place_for_what_is_no_field():
    with pytest.raises(AttributeError):
        Ours("a").size = 1
