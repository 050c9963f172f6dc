"""TPSR: tiny perceptual super-resolution by REINFORCE (Lee et al., arXiv:2007.04356)."""
