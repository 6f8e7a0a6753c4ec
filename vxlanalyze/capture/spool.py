"""An unlinked copy of what can be read once only: a stream, a member of an archive."""

import io
import os
import tempfile


class Spool(io.FileIO):
    """A file without a name, which is gone with the last that reads it.

    Whoever opens captures in a notebook closes nothing; the descriptor is released with the object.
    """

    def __init__(self) -> None:
        descriptor, path = tempfile.mkstemp(prefix="vxlanalyze-")
        os.unlink(path)
        super().__init__(descriptor, "rb+")

    def write_all(self, data: bytes) -> None:
        """Write all of some bytes; raises OSError where there is no room."""
        view = memoryview(data)
        while view:
            view = view[self.write(view) :]

    def __del__(self) -> None:
        self.close()
