"""The ONNX runtime of Fairlead, over onnxruntime."""
