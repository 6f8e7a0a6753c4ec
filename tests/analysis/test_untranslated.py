"""Requests that are answered from an address that was not asked have no answer, in every table."""

import vxlanalyze as vx
from tests.reported.pairs.k03_translation import reply_not_translated_dns


def test_replies_from_the_backend_answer_nothing(tmp_path):
    captures = sorted(c.write(tmp_path) for c in reply_not_translated_dns().run().captures)
    result = vx.compare(*captures)
    found = result.findings["reply-not-translated"]
    dns = [s for s in result.services if s["protocol"] == "dns" and s["client"] == "10.42.1.5"]

    untaken = found.evidence["requests"]
    assert sum(s["unanswered"] for s in dns) == untaken > 0
    assert sum(s["answered"] for s in dns) == sum(s["requests"] for s in dns) - untaken > 0
    assert sum(q["answered"] for s in dns for q in s["questions"]) == sum(s["answered"] for s in dns)
    assert [f.code for f in result.findings if f.severity != "info"] == ["reply-not-translated"]
