"""The decoder against bytes from outside: standards, kernels, other programs."""
