"""What explains lost packets."""
