"""Build a Comparison from decoded captures, each step after those that it needs.

Number the tuples and addresses; segment super-packets; pair by the strict key; infer from these pairs the
node of each capture; then build each hop.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Source
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.memory.threads import threads
from vxlanalyze.pairing import (
    address_book,
    addresses,
    damage,
    direct,
    doubled,
    homes,
    hop,
    outside_tunnel,
    points,
    repeats,
    routes,
    segments,
    set_back,
    strict,
    translation,
    tuples,
)
from vxlanalyze.pairing.address_book import AddressBook
from vxlanalyze.pairing.capture_facts import capture_facts
from vxlanalyze.pairing.ends import HopEnds
from vxlanalyze.pairing.home import NOBODY, End, Home, standing_for
from vxlanalyze.pairing.identity import Level
from vxlanalyze.pairing.model import NO_ROW, CaptureFacts, Comparison, Hop, Point
from vxlanalyze.pairing.numbered import Tuples
from vxlanalyze.pairing.points import Place
from vxlanalyze.pairing.routes import Elsewhere, Route
from vxlanalyze.pairing.strict import KeyedRows, Pairs
from vxlanalyze.wire.model import Decoded, Tunnel


def pair(
    captures: Sequence[tuple[Source, Decoded]],
    *,
    cluster: Cluster | None = None,
    ports: Sequence[int] = (),
    pairs: Sequence[Iterable[Pairs]] | None = None,
    facts: Sequence[CaptureFacts] | None = None,
) -> Comparison:
    """Determine the fate of each wire packet between captures given in path order.

    Parameters
    ----------
    captures : sequence of (Source, Decoded)
        Each read to its end, with unique names.
    cluster : Cluster, optional
        What the cluster's files say.
    ports : sequence of int
        Further tunnel ports, kept for later decoding of single frames.
    pairs : sequence, optional
        For each capture but the last, the result of `strict.pairs` for all partitions of its `sightings` and
        the next one's, if computed elsewhere.
    facts : sequence of CaptureFacts, optional
        What each capture says about itself, where only a part of it was decoded.

    Returns
    -------
    Comparison
        With one capture: points, but no hops.
    """
    bench = _Bench.of(captures, _named(cluster or Cluster(), captures), tuple(ports), pairs, facts)
    main = [p for p in bench.places if p.main]
    hops = [bench.hop(a, b) for a, b in pairwise(main)]
    inside = [
        hop_ for place in bench.places if not place.main for hop_ in bench.inside(place, main[place.capture])
    ]
    return Comparison(
        tuple(bench.facts),
        tuple(bench.points.values()),
        tuple(hops),
        tuple(inside),
        bench.cluster,
        bench.ports,
        bench.translated,
    )


def _named(cluster: Cluster, captures: Sequence[tuple[Source, Decoded]]) -> Cluster:
    """Add the names that captures themselves give to addresses (pcapng's name resolution blocks)."""
    names = {a: n for source, _ in captures for a, n in getattr(source, "names", {}).items()}
    return replace(cluster, hosts=tuple(names.items())) if names else cluster


def sightings(captures: Sequence[tuple[Source, Decoded]], number: int) -> KeyedRows:
    """Give the sightings of one of the captures for matching; of the others only the flows are needed."""
    decoded = [segments.complete_lengths(d) if i == number else d for i, (_, d) in enumerate(captures)]
    facts = [capture_facts(source, d) for (source, _), d in zip(captures, decoded, strict=True)]
    decoded[number] = repeats.without(decoded[number])
    main = [p for p in points.places(list(zip(facts, decoded, strict=True))) if p.main]
    return KeyedRows.of(decoded[number], main[number])


@dataclass(frozen=True)
class _Bench:
    """Everything that the steps share."""

    decoded: list[Decoded]
    facts: Sequence[CaptureFacts]
    cluster: Cluster
    tuples: Tuples
    book: AddressBook
    places: list[Place]
    homes: dict[str, Home]
    points: dict[str, Point]
    partners: dict[tuple[int, int], NDArray[np.int32]]
    ports: tuple[int, ...]
    translated: NDArray[np.uint64]

    @classmethod
    def of(
        cls,
        captures: Sequence[tuple[Source, Decoded]],
        cluster: Cluster,
        ports: tuple[int, ...],
        pairs: Sequence[Iterable[Pairs]] | None,
        facts: Sequence[CaptureFacts] | None,
    ) -> "_Bench":
        decoded = [damage.distrusted(segments.complete_lengths(d), source) for source, d in captures]
        if facts is None:
            facts = [capture_facts(source, d) for (source, _), d in zip(captures, decoded, strict=True)]
        whole, decoded = decoded, [repeats.without(d) for d in decoded]
        facts = [
            replace(f, seen_again=len(w.index) - len(d.index))
            for f, w, d in zip(facts, whole, decoded, strict=True)
        ]
        translated = translation.joined(decoded, cluster)
        if len(translated.identities):  # the strict key used identities that have been translated since
            decoded, pairs = translated.decoded, None
        places = points.places(list(zip(facts, decoded, strict=True)), cluster)
        main = [p for p in places if p.main]
        with threads(1) as background:
            numbering = background.submit(_number, decoded, translated.tuples)
            partners = {
                (i, i + 1): strict.partners(found, len(decoded[i].index))
                for i, found in enumerate(pairs or strict.neighbours(list(zip(decoded, main, strict=True))))
            }
            numbered, book, sizes = numbering.result()
        for (i, j), partner in partners.items():
            both = [(decoded[n], main[n]) for n in (i, j)]
            partners[i, j] = doubled.completed(both, partner)
        decoded, facts = set_back.counted_on(decoded, facts, partners)
        routed = direct.homes(main, decoded, book, partners.get((0, 1)))
        if routed is not None:
            places = [replace(p, encapsulated=False) if p.main else p for p in places]
            homes = {p.name: home for p, home in zip(main, routed, strict=True)}
        else:
            homes = _homes(main, decoded, book, cluster, partners)
        made = {
            p.name: Point(
                name=p.name,
                capture=p.capture,
                encapsulated=p.encapsulated,
                decoded=decoded[p.capture],
                rows=points.rows_of(p, decoded[p.capture]),
                segment_bytes=sizes[p.capture],
                addresses=homes.get(p.name, NOBODY).texts,
                addresses_by=homes.get(p.name, NOBODY).by,
                tuples=numbered,
                set_back=facts[p.capture].set_back,
                routed=routed is not None and p.main,
            )
            for p in places
        }
        return cls(
            decoded,
            facts,
            cluster,
            numbered,
            book,
            places,
            homes,
            made,
            partners,
            ports,
            translated.identities,
        )

    def end(self, place: Place) -> End:
        return End(place, self.decoded[place.capture], self.homes.get(place.name, NOBODY))

    def hop(self, first: Place, second: Place) -> Hop:
        """The hop between two captures."""
        a, b = self._sides(first, second)
        elsewhere = Elsewhere(self._inner_addresses_beyond(first, second), self._further_homes(first, second))
        routed = routes.between(a, b, self.book, self.cluster, elsewhere)
        return self._build(
            a,
            b,
            routed,
            self.partners[first.capture, second.capture],
            outside_tunnel.routes_of(a, b, self.book),
        )

    def _sides(self, first: Place, second: Place) -> tuple[End, End]:
        """The ends of a hop; a place between the nodes stands for all nodes on its side of it."""
        cards = [(p.capture, self.homes[p.name]) for p in self.places if p.main and p.encapsulated]
        before = [home for n, home in cards if n < first.capture]
        after = [home for n, home in cards if n > second.capture]
        return standing_for(self.end(first), before), standing_for(self.end(second), after)

    def inside(self, place: Place, nic: Place) -> list[Hop]:
        """The hop between a place inside a node and that node's NIC, for the same tunnel's packets."""
        if not nic.encapsulated or place.encapsulated:
            return []  # two sightings of the tunnel (a bond and its member), not a path into the node
        a, b = self.end(place), self.end(nic)
        elsewhere = Elsewhere(self._inner_addresses_beyond(place, nic), _NO_ADDRESSES)
        routed = routes.between(a, b, self.book, self.cluster, elsewhere)
        partner = np.full(len(a.decoded.index), NO_ROW, dtype=np.int32)
        none = np.full(len(a.decoded.flows), Route.NONE, dtype=np.uint8)
        built = self._build(a, b, routed, partner, none)
        # A pod that only talks to its own node does not use the tunnel.
        concerned = np.isin(routed.first, (Route.FORWARD, Route.BACKWARD)).any()
        return [built] if concerned or any(d.delivered.any() for d in built.directions) else []

    def _build(
        self, a: End, b: End, routed: routes.Routes, partner: NDArray[np.int32], common: NDArray[np.uint8]
    ) -> Hop:
        i, j = a.place.capture, b.place.capture
        ends = HopEnds(
            self.points[a.place.name], self.points[b.place.name],
            (self.facts[i], self.facts[j]), routed, partner, common, self.ports,
        )  # fmt: skip
        return hop.build(ends, self.tuples)

    def _further_homes(self, first: Place, second: Place) -> NDArray[np.int32]:
        """Addresses of the nodes of other captures: traffic to them does not belong to this hop."""
        others = [home.numbers for name, home in self.homes.items() if name not in (first.name, second.name)]
        return np.array([number for numbers in others for number in numbers], np.int32)

    def _inner_addresses_beyond(self, first: Place, second: Place) -> NDArray[np.int32]:
        """Addresses shown only by captures of other nodes: beyond the tunnel as seen from these two."""
        here = {first.capture, second.capture}
        shown = [
            np.unique(np.concatenate([self.book.src[n], self.book.dst[n]]))
            for n in range(len(self.decoded))
            if n not in here
        ]
        own = np.unique(np.concatenate([self.book.src[first.capture], self.book.outer_src[first.capture]]))
        return np.setdiff1d(np.concatenate([*shown, _NO_ADDRESSES]), own).astype(np.int32)


_NO_ADDRESSES = np.zeros(0, dtype=np.int32)


def _number(
    decoded: list[Decoded], known: Tuples | None
) -> tuple[Tuples, AddressBook, list[NDArray[np.uint16]]]:
    """Number tuples and addresses, and segment super-packets: independent of the strict key."""
    numbered = known or tuples.number([d.flows for d in decoded])
    return numbered, address_book.number(decoded), segments.segment_sizes(decoded, numbered)


def _homes(
    main: list[Place],
    decoded: list[Decoded],
    book: AddressBook,
    cluster: Cluster,
    partners: dict[tuple[int, int], NDArray[np.int32]],
) -> dict[str, Home]:
    def in_common(i: int, j: int) -> addresses.Common:
        partner = partners.get((i, j))
        if partner is None:
            return addresses.NOTHING_COMMON
        here, there = decoded[i].index, decoded[j].index
        if (partner == NO_ROW).all():  # all outer headers may have been rewritten on the path
            inner = [KeyedRows.of(decoded[n], main[n], Level.INNER) for n in (i, j)]
            partner = strict.partners([strict.pairs(*inner)], len(here))
        # Unencapsulated traffic between the nodes, above all ARP, is as good evidence as tunnel packets.
        tunnelled = decoded[i].flows.tunnel != Tunnel.NONE
        source = np.where(tunnelled, book.outer_src[i], book.src[i])
        row = np.flatnonzero(partner != NO_ROW)
        if tunnelled.any() and not main[i].encapsulated:
            row = row[~tunnelled[here.flow[row]]]
        return addresses.Common(
            source[here.flow[row]],
            (here.flow[row], there.flow[partner[row]]),
            there.time_ns[partner[row]] - here.time_ns[row],
            lambda: addresses.filled(here.checks[row], there.checks[partner[row]]),
            lambda: (doubled.sightings_again(decoded[i]), doubled.sightings_again(decoded[j])),
        )

    ends = [points.sides(p, decoded[p.capture], book) for p in main]
    found = homes.homes(main, ends, book, cluster, in_common)
    return {p.name: home for p, home in zip(main, found, strict=True)}
