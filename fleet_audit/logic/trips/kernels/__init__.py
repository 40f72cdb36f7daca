"""The compiled passes over positions: what is a state machine along one vehicle's points.

Frames, places and trips are in `segmentation` and `trips`. All passes take points of many tracks in one array,
`offsets[k]:offsets[k + 1]` being track k in time order. Numba's cache knows only the file of the compiled function:
after a change in a function that another file calls, remove `__pycache__` before measuring or testing it.
"""
