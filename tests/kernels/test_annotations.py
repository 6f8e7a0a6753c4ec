"""What mypy knows of a kernel's arguments is what its decorator declares: a wrong call does not pass."""

import inspect
import types
import typing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vxlanalyze.kernels import build
from vxlanalyze.kernels.build.signature import Array, Items, Number, Parameter, parse

INTEGERS = (int, np.integer)
NUMBERS = {"i": INTEGERS, "u": INTEGERS, "f": (float,), "b": (bool, np.bool_)}


def fits(annotation: Any, parameter: Parameter) -> bool:
    """Whether an annotation says what a declared type is; it has neither axes nor the width of a number."""
    if annotation is Any:
        return True
    if isinstance(parameter, Number):
        return bool({np.dtype(parameter.code).type, *NUMBERS[parameter.code[0]]} & of_union(annotation))
    if isinstance(parameter, Array):
        items = typing.get_args(typing.get_args(annotation)[1])[0] if is_array(annotation) else None
        return items is Any or (items is not None and np.dtype(items) == parameter.dtype)
    return all_fit(annotation, parameter)


def of_union(annotation: Any) -> set[Any]:
    """The types of a union, or the one that it is; of each its own, without what it holds."""
    members = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return {typing.get_origin(member) or member for member in members}


def is_array(annotation: Any) -> bool:
    return typing.get_origin(annotation) is np.ndarray


def all_fit(annotation: Any, declared: Items) -> bool:
    if declared.name:
        if getattr(annotation, "__name__", "") != declared.name:
            return False
        items = tuple(typing.get_type_hints(annotation).values())
    else:
        items = typing.get_args(annotation) if typing.get_origin(annotation) is tuple else ()
        if len(items) == 2 and items[1] is Ellipsis:
            items = (items[0],) * len(declared.items)
    return len(items) == len(declared.items) and all(map(fits, items, declared.items))


@pytest.mark.parametrize("kernel", build.kernels(), ids=lambda kernel: kernel.name)
def test_annotations_agree_with_what_is_declared(kernel):
    hints = typing.get_type_hints(kernel.py_func)
    names = list(inspect.signature(kernel.py_func).parameters)
    declared = parse(kernel.declared)

    assert len(names) == len(declared)
    for name, parameter in zip(names, declared, strict=True):
        assert name in hints, f"{name} has no annotation"
        assert fits(hints[name], parameter), f"{name}: {hints[name]} is not {parameter}"


def test_what_differs_is_found():
    columns, number, marks = parse("(i4[] u2[]) i8 b1[]")

    assert fits(tuple[NDArray[np.int32], NDArray[np.uint16]], columns)
    assert not fits(tuple[NDArray[np.int32]], columns)
    assert not fits(tuple[NDArray[np.int32], NDArray[np.uint8]], columns)
    assert fits(int, number)
    assert not fits(float, number)
    assert fits(NDArray[np.bool_], marks)
    assert not fits(NDArray[np.int64], marks)
