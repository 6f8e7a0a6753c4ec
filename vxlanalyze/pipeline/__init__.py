"""From captures to a report: decode in parallel, pair, diagnose, report."""
