"""The reasoning model as `streamseg export --parts reasoner` writes it: read, checked and run in
ONNX Runtime, without torch."""
