"""Runs in TensorBoard, MLflow and Weights & Biases: ``--track NAME``.

Each needs its package (`pip install 'corenas[tensorboard]'` and so on), which is imported when the
tracker is built, never when the plugin is found.
"""

import os

# MLflow sends usage data from its import on, unless this is set before; a user's word stands.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
