"""SAM2's video network as a propagator."""
