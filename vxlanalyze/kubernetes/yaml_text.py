"""Kubernetes YAML as kubectl prints it, without what is never read: parsing takes a second for each 0.5 MB.

Only block style is shortened: from a line that is such a key alone to the last line indented deeper. In other
text (a block scalar) the same lines may be left out, whose values are not read either.
"""

import re
from itertools import islice

_UNUSED = re.compile(
    r"^(?P<indent> *)(?:- )?(?:managedFields|f:\S+|env|envFrom|volumeMounts|volumeDevices|command|args|"
    r"livenessProbe|readinessProbe|startupProbe|resources|securityContext|lifecycle|volumes|tolerations|"
    r"affinity|images|volumesInUse|volumesAttached|capacity|allocatable|nodeInfo|topologySpreadConstraints|"
    r"containerStatuses|initContainerStatuses|ephemeralContainerStatuses|imagePullSecrets):$"
)
_VALUE = re.compile(r": |:$|- |[\[{,]", re.MULTILINE)


def without_unused(text: str) -> str:
    """Leave out the blocks of keys that are never read."""
    kept: list[str] = []
    deeper_than = -1
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        # The items of a list may be indented as its key is.
        if deeper_than >= 0 and (
            indent > deeper_than or (indent == deeper_than and line[indent:][:2] == "- ")
        ):
            kept.append("")  # lines keep their numbers
            continue
        match = _UNUSED.match(line) if line.endswith(":") else None
        listed = match is not None and line[indent:].startswith("- ")
        deeper_than = (indent + 2 if listed else indent) if match is not None else -1
        kept.append(f"{line} null" if match is not None else line)
    return "\n".join(kept)


def has_more_values(text: str, most: int) -> bool:
    """Whether a text has more than so many values; 100,000 take about two seconds to parse."""
    return sum(1 for _ in islice(_VALUE.finditer(text), most + 1)) > most
