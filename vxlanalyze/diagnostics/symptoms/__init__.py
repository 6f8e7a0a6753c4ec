"""What the pods notice."""
