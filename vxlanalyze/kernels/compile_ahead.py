"""What the first run on a machine compiles, done on another core.

numba holds the interpreter lock while it compiles: a second core needs a second process. What that makes is
found in the cache. The order matters: the run meets the parts of the decoder in the order of the layers, so
this begins with the last ones, and both meet in the middle.
"""

from importlib import import_module

from vxlanalyze.kernels import decorator as compiled

# Names, and kinds of the arguments (see `machine_code.spelled`). What kernels call, then what Python calls:
PARTS = (
    "wire.dispatch.recognise |u1C1 <i8C1 <i8",
    "wire.verify.verify |u1C1 <i8C1 <i8 <i8 <i8",
)
KERNELS = (
    "wire.fragments._group <i8C2 <i8C1 |b1C1 <i8C1 <i8C1 <i8C2",
    "pairing.identity._fill_keys <u8C1 <i8 <i4C1 <u2C1 <u2C1 <i4C1 <u4C1 <u4C1 <u4C1 <u4C1 <u4C1 <u4C1 <u4C1 "
    "<u2C1 <u2C1 <u8C1 |u1C1 <u2C1 <u8C1",
    "wire.flow_table._add_all <i8C2 <u2C1 <u8C1 <i4C1 <i8C2 <u2C1 <i8 <i4C1",
    "wire.flow_table._identities <i8C2 <u8C1",
    "wire.usage._count <i4C1 <i8C1 <i8C1 <i8C1 <i8C1 <i8C1",
    "pairing.match._unique <u8 <u8C1 <u8C1 <i4C1 |b1C1 <i4C1 <i4C1",
    "pairing.segments._maximum_by <i4C1 <u4C1 <i8C1",
    "pairing.clock._extremes <i8C1 <i8C1 <i8C1 |b1C1 <f8 <f8C2",
    "pairing.tuples._number_rows <u8C2 <i4C1 <i4C1 <i4C1",
    "pairing.rows._choose <i4C1 |b1C1 <i4C1",
    "pairing.positions._find tuple( <i4C1 <i4C1 ) tuple( <u2C1 <u2C1 ) <i4C1 <i4C1 <i4C1",
    "pairing.offsets._find <i8C1 <i8C1 <i8C1 <f8C1 <i8C1",
    "pairing.fate._believe <i4C1 <u2C1 tuple( <i8C1 <i8C1 ) tuple( <i8 <i8 <i8 ) <i4C1 <i4C1 |b1C1",
    "pairing.fate._compare tuple( <i4C1 <i4C1 ) tuple( <u4C1 <u4C1 ) <i4C1 |b1C1",
    "analysis.requests.asking._hear <i4C1 <i4C1 <i8C1 |b1C1 <i4C1 <i8C1 <i8C1",
    "analysis.requests.asking._find <i4C1 tuple( <i4C1 <u4C1 <u4C1 <u2C1 ) "
    "_Roles( |u1C1 |b1C1 |b1C1 <i4C1 <i4C1 ) Events( <i4C1 <i4C1 <i8C1 |u1C1 |b1C1 |b1C1 )",
    "analysis.requests.requests._pair <i8C1 <i4C1 Events( <i4C1 <i4C1 <i8C1 |u1C1 |b1C1 |b1C1 ) <i4C1 |b1C1 "
    "_Paired( <i4C1 <i8C1 |u1C1 <i4C1 <i4C1 <i4C1 <i4C1 |b1C1 )",
    "analysis.requests.answers._ask tuple( <i4C1 <i4C1 ) tuple( <i4C1 <u2C1 <u4C1 <u4C1 <u4C1 ) "
    "tuple( <i8C1 <i8C1 ) tuple( <i8 <i8 ) tuple( |b1C1 |b1C1 |b1C1 <i4C1 ) "
    "_Asking( |b1C1 |b1C1 |b1C1 |b1C1 <i4C1 )",
    "analysis.tcp.tcp_packets._choose tuple( <i4C1 <u4C1 <u4C1 <u2C1 ) <i4C1 <i4C1 <i4C1 |b1C1 |b1C1",
    "analysis.integrity.checksums._read tuple( <i4C1 <i4C1 ) tuple( <u2C1 <u2C1 ) <u2C1 <i8 "
    "Checks( |u1C1 |u1C1 |b1C1 )",
    "analysis.loss.openings._find tuple( <i4C1 <u2C1 |b1C1 ) tuple( |b1C1 |b1C1 <i4C1 ) tuple( |b1C1 |b1C1 ) "
    "|b1C1 |b1C1",
    "analysis.timing.delays._find_fastest <i4C1 <i8C1 <i8C1 |u1C1 <i8C1",
    "analysis.underlay.rewriting._compare tuple( <i4C1 <i4C1 ) <i4C1 |u1C1 tuple( <i8C1 <i8C1 ) |b1C1",
    "capture.records.copy_records |u1C1 <i8 <i8 <i8 |b1 <i8 <i8 <i8 <i8 <i8C1 <i8 <i8C1 <u4C1 <u4C1 <i8C1 "
    "|u1C1 <i8",
    "wire.rows._decode_records |u1C1 <i8C1 <u4C1 <u4C1 <i8C1 |u1C1 <i8C1 tuple( <i8C2 <i8C2 <i8C1 )",
)


def main() -> None:
    """Compile all of it that is not in the cache yet; `compiled` runs this in a process of its own."""
    compiled.compile_alone()
    for table, compile_ in ((PARTS, "compile_part"), (KERNELS, "code")):
        for entry in table:
            name, *kinds = entry.split()
            module, function = name.rsplit(".", 1)
            kernel = getattr(import_module(f"vxlanalyze.{module}"), function)
            getattr(kernel, compile_)(tuple(kinds))
