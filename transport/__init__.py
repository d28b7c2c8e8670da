"""Frames, sessions and sockets: how events reach clients and how their acks come back."""
