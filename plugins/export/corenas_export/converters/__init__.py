"""Formats whose converters a user installs: OpenVINO, ncnn, ExecuTorch, Core ML."""
