"""The sub-commands: parse, call the library, print, exit."""
