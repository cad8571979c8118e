"""What a GStreamer pipeline gives."""
