"""What PyAV decodes: containers, streams, cameras and pictures."""
