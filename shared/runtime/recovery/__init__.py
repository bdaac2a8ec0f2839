"""What brings a store back: its own topic, the trail, and the guard that asks whether it is whole."""
