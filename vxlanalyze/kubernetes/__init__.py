"""What the cluster says of itself, read from files that the user gives."""
