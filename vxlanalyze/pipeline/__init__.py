"""From captures to a report: decode side by side, pair, diagnose, report."""
