"""Networks of super-resolution: their files, names, costs and kernels, and their use on images.

`files` reads and writes model files, `named` finds networks by name, `costs` counts them, `kernels`
has the modules that are fast on CPUs, `inference` and `upscalers` enlarge images. Files of other
projects are read by a private module, which `upscalers` calls.
"""
