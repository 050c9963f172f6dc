"""The super-resolution task: what its search spaces, strategies and recipes have in common.

Rooms: ``data`` reads images and makes patches, ``models`` finds networks and runs them,
``training`` trains and evaluates candidates and final networks, ``results`` measures and reports,
``preparation`` fetches and checks data sets, ``commands`` is the command line. Here stand the
options (`config`), the protocol of image metrics (`metric`) and the recipe ``train``
(`train_recipe`).
"""
