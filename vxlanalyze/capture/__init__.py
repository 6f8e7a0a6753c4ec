"""Read frames from disk: opens captures of any format, compression and number of files."""

from vxlanalyze.capture.model import (
    PLACE_FILE_SHIFT,
    PLACE_OFFSET_MASK,
    Damage,
    File,
    Frames,
    Interface,
    InterfaceStatistics,
    Source,
)
from vxlanalyze.capture.nodes import open_nodes, other_files
from vxlanalyze.capture.sources import open_source, open_sources

__all__ = [
    "PLACE_FILE_SHIFT",
    "PLACE_OFFSET_MASK",
    "Damage",
    "File",
    "Frames",
    "Interface",
    "InterfaceStatistics",
    "Source",
    "open_nodes",
    "open_source",
    "open_sources",
    "other_files",
]
