"""Damaged inputs by the thousand: a run ends with exit 0, 1 or 2, soon and in bounded memory."""
