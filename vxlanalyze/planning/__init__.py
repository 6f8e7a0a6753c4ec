"""What to run on the nodes: how to take a good pair, and which test settles a report's open questions."""
