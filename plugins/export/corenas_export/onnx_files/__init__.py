"""ONNX: writing files, reading them as networks, and quantising them to eight bits."""
