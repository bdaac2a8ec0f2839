"""The demonstration: synthetic people file, pay and supply; officers act; everything that was said is shown at
the end.
"""
