"""Trainings with images: candidates, final networks, and their losses.

`pixel` and `adversarial` have the training steps, `final` the training that ends a recipe,
`candidates` and `short_training` the evaluators of candidates, `losses` all losses,
`reparameterise` convolutions that train as branches, `supervision` what a search in a supernet
learns from, `timing` the estimates. All modules are public; the networks of perceptual losses are
in `corenas_sr.features`.
"""
