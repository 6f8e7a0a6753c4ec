"""Files made of a comparison besides its report: tables, captures, and what is redacted in them."""
