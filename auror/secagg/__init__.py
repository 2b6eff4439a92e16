"""One masked sum (Bonawitz et al. 2017), sans-I/O. ``run.py`` is the whole of it in one screen."""
