"""What a supernet is made of, and what it is trained by: for spaces and for one-shot strategies.

`mixtures` has points between architectures, and which options take part in one; `sharing` weights
that networks of different widths share; `supervision` is what a one-shot strategy asks of a task;
`one_shot` tells which strategies are such.
All modules are public.
"""
