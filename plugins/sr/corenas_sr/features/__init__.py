"""Features of trained networks, which perceptual losses and metrics compare.

`config` names networks and their layers, `trunks` builds and loads them, `shift_tolerant` has those
of ST-LPIPS, whose weights come with a package. All modules are public.
"""
