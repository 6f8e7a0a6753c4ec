"""The network below the overlay, and the tunnel endpoints in it."""
