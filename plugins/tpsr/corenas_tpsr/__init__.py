"""TPSR: tiny perceptual super-resolution by REINFORCE (Lee et al., arXiv:2007.04356).

Rooms: ``generator`` and ``discriminator`` hold the two search spaces, ``policy`` the LSTM policy
and its rewards, ``perceptual`` the search for a discriminator and the comparison. Here stand the
recipe ``tpsr`` (`recipe`), its dry run and its options (`config`). Other plugins reach the
components by name; modules with a leading underscore may change at any time.
"""
