"""A limit for memory, and the allocator that obeys it."""
