"""What limits the answer."""
