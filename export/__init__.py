"""Export: from torch to ONNX to TensorRT, each step checked against the one before."""
