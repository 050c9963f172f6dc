"""Trainings with images: candidates, final networks, and their losses.

`pixel` and `adversarial` have the training steps, `final` the training that ends a recipe,
`candidates` and `short_training` the evaluators of candidates, `losses`, `trunks` and
`feature_config` the perceptual losses, `timing` the estimates. All modules are public.
"""
