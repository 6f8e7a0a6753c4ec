"""Types of kernel arguments for annotations: ``I32`` is ``i4[]`` or ``i4[,]`` in a declaration.

Declarations say more than annotations can; a test holds the two together.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bools: TypeAlias = NDArray[np.bool_]
I8: TypeAlias = NDArray[np.int8]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
F64: TypeAlias = NDArray[np.float64]
U8: TypeAlias = NDArray[np.uint8]
U16: TypeAlias = NDArray[np.uint16]
U32: TypeAlias = NDArray[np.uint32]
U64: TypeAlias = NDArray[np.uint64]
Integer: TypeAlias = int | np.integer[Any]  # inside a kernel: Python's, or one of numpy's that an array holds
Boolean: TypeAlias = bool | np.bool_
