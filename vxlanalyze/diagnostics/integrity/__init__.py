"""Whether packets arrive as they were sent."""
