"""Networks in formats of devices and runtimes, each checked against torch before it is handed over.

Read `format` and `exporting` first. A format is a component of the kind ``export_formats``.
"""

import os

# ONNX Runtime sends usage data from its import on, unless this is set before; a user's word stands.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
