"""What makes one service: its rooms, its settings, its callers."""
