"""Sabotage: guards taken out one at a time, each in a copy of the tree, to see that a named test turns red."""
