"""Super-resolution training: pixel and perceptual losses, adversarial steps, evaluators."""
