"""The one training loop, what it drives, and tasks done one after the other.

`step` says what is trained, `loop` trains it as a task, `config` and `schedules` are their options,
`sequence` joins tasks, `networks` and `timing` help before a training begins. How an update becomes
a CUDA graph is private.
"""
