"""What the hosts' own tables say of a finding, one kind of fact a module."""
