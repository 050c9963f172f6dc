"""A task for CoreNAS: small networks that tell two spirals apart."""
