"""The compiled passes over positions: what is a state machine along one vehicle's points.

Frames, places and trips are in `segmentation` and `trips`. All passes take points of many tracks in one array,
`offsets[k]:offsets[k + 1]` being track k in time order.
"""
