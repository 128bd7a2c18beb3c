"""Built-in networks: a YAML file each, with its source."""
