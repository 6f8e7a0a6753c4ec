"""A server for assistants (Model Context Protocol): reads one folder; answers are redacted and bounded."""
