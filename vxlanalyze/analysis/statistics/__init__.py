"""How much observations prove."""
