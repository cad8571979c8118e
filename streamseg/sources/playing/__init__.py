"""How a connection is played: live or in order, at which pace, across which breaks."""
