"""Models, data sets, partitions, local training, poisoning, measuring.

Importing any of it needs torch and numpy only; data set packages are imported when a data
set that needs them is loaded.
"""
