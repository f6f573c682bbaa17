"""The DynamicResources plugin: devices that pods claim, allocated with the choice of a node."""
