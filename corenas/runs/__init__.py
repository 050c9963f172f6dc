"""One job in one folder: the only loop, its journal and checkpoints, and how it is started.

A recipe meets `run`, mostly as `corenas.Run`. Who reads a folder uses `journal` and `identity`; who
starts a run uses `launch`. `search` is the stage that every search is. What a run keeps besides its
journal, and how it finds where to go on, is private: no one else may write into a run's folder.
"""
