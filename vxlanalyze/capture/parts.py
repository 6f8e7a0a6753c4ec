"""Parts of a capture that was read in stretches, each a separate source that can be read anywhere."""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import File, Frames, Interface
from vxlanalyze.capture.opened import OpenedFile
from vxlanalyze.capture.stretches import FormatReader, Stretch, StretchSource
from vxlanalyze.capture.view import View


@dataclass(frozen=True, slots=True)
class StretchPlace:
    """The position of a stretch in its capture.

    Parameters
    ----------
    frames_before : int
        Number of frames in the stretches before it.
    interface : NDArray[np.uint16]
        The capture's number of each of its interfaces, shape ``(k,)``.
    """

    stretch: Stretch
    frames_before: int
    interface: NDArray[np.uint16]


class CapturePart:
    """The frames of one stretch, numbered as in the whole capture; `interfaces` are the capture's."""

    def __init__(
        self,
        of: tuple[OpenedFile, FormatReader, View | None],
        place: StretchPlace,
        files: tuple[File, ...],
        interfaces: list[Interface],
    ) -> None:
        self._opened, self._reader, self._view = of
        self._place = place
        self.files = files
        self.interfaces = interfaces

    def chunks(self) -> Iterator[Frames]:
        """Read the frames.

        Raises
        ------
        CaptureError
            The file is missing or unreadable, or has changed since it was opened.
        """
        before, place = self._place.frames_before, self._place
        # Readers remember what they last read, which is used to find frames of the whole capture again.
        own = StretchSource(self._opened, copy(self._reader), place.stretch, self._view)
        for frames in own.chunks():
            yield replace(
                frames,
                interface=place.interface[frames.interface],
                first_frame=frames.first_frame + before,
                number=None if frames.number is None else frames.number + before,
            )
