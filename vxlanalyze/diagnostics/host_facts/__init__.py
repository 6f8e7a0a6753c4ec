"""What the hosts' own tables say about a finding, one module per kind of fact."""
