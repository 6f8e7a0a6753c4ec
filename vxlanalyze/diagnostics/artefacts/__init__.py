"""What looks like a fault and is none."""
