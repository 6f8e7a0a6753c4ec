"""Open points in the tables of a report: with any of these, the report does not say that all is well."""

from collections.abc import Iterator, Sequence

from vxlanalyze.report.model import CaptureRecord, HopRecord, ServiceRecord
from vxlanalyze.text import words

_MOST_NAMED = 2
_MOST = 0.5  # of a direction's packets
# Classes of frames absent from a healthy pair, in singular and plural.
_OPEN = {
    "not-arrived": ("unencapsulated pod packet", "never arrives", "never arrive"),
    "tunnel": ("tunnel packet", "belongs to no judged direction", "belong to no judged direction"),
    "other-family": ("tunnel packet over the other IP version", "was not judged", "were not judged"),
    "other-vni": ("tunnel packet with another VNI", "was not judged", "were not judged"),
    "undecoded": ("frame", "could not be decoded", "could not be decoded"),
}


def open_points(
    captures: Sequence[CaptureRecord], services: Sequence[ServiceRecord], hops: Sequence[HopRecord] = ()
) -> list[str]:
    """Name unanswered requests, unjudged frames and directions doubled throughout, as clauses."""
    return [*_requests(services), *_frames(captures), *_doubled(hops)]


def _doubled(hops: Sequence[HopRecord]) -> Iterator[str]:
    for hop in hops:
        if hop["duplicated"] > _MOST * hop["delivered"]:
            all_ = words.share(hop["duplicated"], hop["delivered"])
            yield f"{all_} packets {hop['direction']} appear more than once in the capture of {hop['to']}"


def _requests(services: Sequence[ServiceRecord]) -> Iterator[str]:
    silent = sorted((s for s in services if s["unanswered"]), key=lambda s: -s["unanswered"])
    for service in silent[:_MOST_NAMED]:
        to = f"{service['client']} > {service['server']}"
        share_ = words.share(service["unanswered"], service["requests"])
        yield f"{share_} {service['protocol']} {_requests_noun(service)} {to} got no answer"
    if rest := silent[_MOST_NAMED:]:
        more = sum(service["unanswered"] for service in rest)
        yield f"{words.count(more, 'request')} of {words.count(len(rest), 'other client')} got no answer"


def _requests_noun(service: ServiceRecord) -> str:
    return "request" if service["requests"] == 1 else "requests"


def _frames(captures: Sequence[CaptureRecord]) -> Iterator[str]:
    for code, (noun, does, do) in _OPEN.items():
        for capture in captures:
            if number := capture.get("accounting", {}).get(code, 0):
                plural = noun.replace("packet", "packets").replace("frame", "frames")
                what = words.count(number, noun, plural)
                yield f"{what} in {capture['name']} {does if number == 1 else do}"
