"""Super-resolution as a task: images, data, training, inference and files."""
