"""What to run on the nodes: how to take a good pair, and which test decides what a report leaves open."""
