"""Runs in TensorBoard, MLflow and Weights & Biases: ``--track NAME``.

Each needs its package (`pip install 'corenas[tensorboard]'` and so on), which is imported when the
tracker is built, never when the plugin is found.
"""
