"""The configurations that ship with streamseg, a YAML file each; see `streamseg.config.load`."""
