"""What a checkout calls: kernels of the library that are current; of others, what numba makes of them."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from vxlanalyze.kernels import loader
from vxlanalyze.kernels.build.fingerprint import fingerprint
from vxlanalyze.kernels.decorator import Kernel
from vxlanalyze.kernels.loader import KernelError


def callable_of(kernel: Kernel) -> Callable[..., Any]:
    """Give what Python calls; what has changed since the library was built is compiled in each process anew.

    Raises
    ------
    KernelError
        It has changed or was never built, and numba is not installed.
    """
    if is_current(kernel):
        return loader.bind(loader.entry(kernel.name))
    from vxlanalyze.kernels.build.compiler import compile_now

    return compile_now(kernel)


def is_current(kernel: Kernel) -> bool:
    """Tell whether the library has a kernel as its source is now; raises KernelError where nothing has."""
    try:
        if loader.entry(kernel.name).fingerprint == fingerprint(kernel):
            return True
    except KernelError:
        if not has_numba():
            raise
    if not has_numba():
        raise KernelError(
            f"{kernel.name} has changed since its library was built, and numba is not installed; run "
            "pip install . in the checkout"
        )
    return False


def has_numba() -> bool:
    """Tell whether numba is installed."""
    return find_spec("numba") is not None
