"""Application messages in the octets of TCP streams, as far as framing shows them without decryption."""
