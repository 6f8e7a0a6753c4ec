"""The errors that a user can act on; everything else is a bug and keeps its traceback."""


class VxlanalyzeError(Exception):
    """The work cannot be done; the message is one line: what, where, what would be right."""

    exit_status = 2


class UsageError(VxlanalyzeError):
    """The call itself is wrong: an unknown option value, a name that cannot be used."""


class CaptureError(VxlanalyzeError):
    """An input is no capture that can be read.

    Parameters
    ----------
    path : str
        The file as the user named it.
    what : str
        What is wrong, and what would be right.
    offset_bytes : int, optional
        Place of the fault in the (decompressed) file.
    """

    def __init__(self, path: str, what: str, offset_bytes: int | None = None) -> None:
        place = path if offset_bytes is None else f"{path}, byte {offset_bytes}"
        super().__init__(f"{place}: {what}")
        self.path = path
        self.what = what
        self.offset_bytes = offset_bytes


class OutputError(VxlanalyzeError):
    """An output cannot be written."""
