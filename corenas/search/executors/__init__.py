"""Where jobs run: in this process or in worker processes.

Executors are built by name; `attempt` is for whoever writes another one. What runs inside a worker
is private.
"""
