"""A server for assistants (Model Context Protocol): reads below one folder, answers redacted and bounded."""
