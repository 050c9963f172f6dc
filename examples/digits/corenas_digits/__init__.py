"""Small classifiers of handwritten digits: a space, an evaluator and a recipe for CoreNAS."""
