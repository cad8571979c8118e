"""Which frames a reasoner is shown: over the ring of a stream, or over a whole video."""
