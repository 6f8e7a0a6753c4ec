"""Redaction (``--redact``): pseudonyms for addresses and names, and no payload, in every output."""

from vxlanalyze.export.redaction.redactor import Redactor

__all__ = ["Redactor"]
