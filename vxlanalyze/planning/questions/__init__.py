"""What each finding leaves open, and what would decide it: one entry for every diagnostic, all in one place.

The explanations of a code are those in its manual and its remedy. `DECIDED` are the diagnostics whose
findings leave nothing open, with the deciding evidence. If a code has several questions, the first that fits
a finding counts.
"""

from collections.abc import Mapping

from vxlanalyze.planning.probes import Question
from vxlanalyze.planning.questions.captures import CAPTURE_QUESTIONS
from vxlanalyze.planning.questions.damage import DAMAGE_QUESTIONS
from vxlanalyze.planning.questions.entering import ENTERING_QUESTIONS
from vxlanalyze.planning.questions.entries import ENTRY_QUESTIONS
from vxlanalyze.planning.questions.inside import INSIDE_QUESTIONS
from vxlanalyze.planning.questions.losing import LOSING_QUESTIONS
from vxlanalyze.planning.questions.path import PATH_QUESTIONS
from vxlanalyze.planning.questions.size import SIZE_QUESTIONS
from vxlanalyze.planning.questions.slow import SLOW_QUESTIONS

QUESTIONS: tuple[Question, ...] = (
    *INSIDE_QUESTIONS,
    *ENTERING_QUESTIONS,
    *PATH_QUESTIONS,
    *SIZE_QUESTIONS,
    *LOSING_QUESTIONS,
    *DAMAGE_QUESTIONS,
    *ENTRY_QUESTIONS,
    *SLOW_QUESTIONS,
    *CAPTURE_QUESTIONS,
)
DECIDED: Mapping[str, str] = {
    "same-capture": "the frames of both files are the same",
    "capture-damaged": "the file itself shows where it is damaged",
    "truncated-capture": "the frames themselves show where they are cut",
    "outer-fragmentation": "the captures show where packets are fragmented",
    "checksum-offload": "the other capture shows the checksums that were filled in",
    "outer-address-rewritten": "both captures show the addresses before and after",
    "service-translation": "both captures show the addresses before and after",
    "nested-tunnel": "the packets show the headers",
    "mirrored-capture": "the packets show the mirror's header",
    "encrypted-underlay": "encrypted content cannot be tested from the network",
    "clock-offset": "the packets determine the offset",
}
