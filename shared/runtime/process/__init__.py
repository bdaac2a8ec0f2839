"""One process of one service: wired, supervised, watched, drained."""
