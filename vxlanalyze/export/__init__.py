"""Files exported from a comparison in addition to its report: tables and captures, and their redaction."""
