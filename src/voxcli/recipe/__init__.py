"""TOML in, components and run settings out; every problem at once, each with the line where it was set."""
