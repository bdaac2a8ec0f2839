"""How often Python looks for garbage in circles. With its own thresholds that took a fifth of all CPU."""

import gc

YOUNG, MIDDLE, OLD = 20_000, 20, 50
"""After so many new objects, and the older ones after so many looks."""


def spare_the_collector() -> None:
    """What is loaded by now stays for the life of the process: it need not be searched again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
