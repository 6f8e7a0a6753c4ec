"""Statistics: how much observations prove."""
