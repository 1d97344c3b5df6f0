"""Configuration: the tests mirror daemoneye/config file for file."""
