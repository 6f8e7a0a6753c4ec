"""Compiled functions: the decorator, the compiler, and the machine code that is kept."""
