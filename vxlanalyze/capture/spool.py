"""An unlinked copy of data that can be read only once: a stream, a member of an archive."""

import io
import os
import tempfile


class Spool(io.FileIO):
    """A file without a name, which disappears with its last reader.

    Captures opened in a notebook are rarely closed; the descriptor is released with the object.
    """

    def __init__(self) -> None:
        descriptor, path = tempfile.mkstemp(prefix="vxlanalyze-")
        os.unlink(path)
        super().__init__(descriptor, "rb+")

    def write_all(self, data: bytes) -> None:
        """Write all bytes; raises OSError without space."""
        view = memoryview(data)
        while view:
            view = view[self.write(view) :]

    def __del__(self) -> None:
        self.close()
