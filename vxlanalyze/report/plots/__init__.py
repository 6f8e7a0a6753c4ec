"""The pictures of a report, drawn from its series."""
