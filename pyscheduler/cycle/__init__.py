"""The core: one pod from the queue to a node.

`event_handlers` feed cache and queue from the watch; `loop` pops and schedules; `scheduling` picks
a node; `binding` makes it real; `failure` puts a pod back and says why.
"""
