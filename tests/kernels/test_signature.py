"""Declarations of kernels' arguments, read and written out as what a compiled function takes."""

import numpy as np
import pytest

from vxlanalyze.kernels.build.signature import Array, Items, Number, flattened, parse


def test_numbers_arrays_and_tuples_are_read():
    read = parse("u8 i4[] b1[,] (f8 u2[]) Rows(i8[] (u1[]))")

    assert read == (
        Number("u8"),
        Array(np.dtype("i4"), 1),
        Array(np.dtype("b1"), 2),
        Items("", (Number("f8"), Array(np.dtype("u2"), 1))),
        Items("Rows", (Array(np.dtype("i8"), 1), Items("", (Array(np.dtype("u1"), 1),)))),
    )


@pytest.mark.parametrize("declared", ["i3", "i8 ?", "i8)", "u1[;]"])
def test_what_is_no_declaration_is_refused(declared):
    with pytest.raises(ValueError, match=r"does not begin with a type|do not match"):
        parse(declared)


def test_an_array_is_seven_numbers_and_two_more_for_each_further_axis():
    codes = list(flattened(parse("u1[] i8 (i4[,])")))

    assert codes == [
        "p",
        "p",
        "i8",
        "i8",
        "p",
        "i8",
        "i8",
        "i8",
        *["p", "p", "i8", "i8", "p", "i8", "i8", "i8", "i8"],
    ]
