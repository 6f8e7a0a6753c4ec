"""Numbers are written so that they can be read at three in the morning."""

import pytest

from vxlanalyze.kubernetes.model import Cluster, Pod
from vxlanalyze.text import words


@pytest.mark.parametrize(
    ("duration_ns", "said"),
    [
        (850, "850 ns"),
        (1_300, "1.3 µs"),
        (999_600, "1 ms"),
        (999_499, "999 µs"),
        (999.7, "1 µs"),
        (120_000_000, "120 ms"),
        (5_600_000_000, "5.6 s"),
        (125_000_000_000, "2 min 5 s"),
        (7_203_000_000_000, "2 h 0 min 3 s"),
        (-2_000_000, "-2 ms"),
        (-7_203_000_000_000, "-2 h 0 min 3 s"),
    ],
)
def test_a_span_has_the_unit_that_suits_it(duration_ns, said):
    assert words.span(duration_ns) == said


def test_counts_are_grouped_and_agree_with_their_noun():
    assert words.count(1, "packet") == "1 packet"
    assert words.count(12345, "packet") == "12,345 packets"
    assert words.count(2, "query", "queries") == "2 queries"


def test_a_whole_is_said_as_all():
    assert words.share(20, 20) == "all 20"
    assert words.share(5, 20) == "5 of 20 (25 %)"


def test_a_moment_is_rfc_3339_in_utc():
    assert words.moment(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123Z"


def test_a_long_list_ends_with_how_many_more():
    assert words.listed([]) == "none"
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed(list("abcdefg"), at_most=3) == "a, b and 5 more"


def test_an_address_is_followed_by_what_the_cluster_calls_it():
    cluster = Cluster(pods=(Pod("coredns-0", "kube-system", "node2", ("10.233.65.250",)),))
    assert cluster.named("10.233.65.250") == "10.233.65.250 (kube-system/coredns-0)"
    assert cluster.named("10.233.65.251") == "10.233.65.251"
