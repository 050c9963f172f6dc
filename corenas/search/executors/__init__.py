"""Where candidates are evaluated: in this process, or in worker processes on this machine."""
