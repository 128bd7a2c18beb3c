"""Built-in devices: a YAML file each, a source for every number."""
