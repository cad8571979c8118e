"""Who is meant where that changes: a rule held against the tracks, frame by frame."""
