"""The teacher, whose images networks learn to make.

`config` has its options, `images` makes and keeps its images, `loss` compares with them, `checks`
refuses a teacher that cannot teach, `evaluator` lets other strategies' supernets learn from one.
All modules are public.
"""
