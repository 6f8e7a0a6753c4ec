"""What the cluster says about itself, read from the user's files."""
