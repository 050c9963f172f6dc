"""The core's commands. Each imports what computes only when it is called."""
