"""The command line: `aga …`. Thin; nothing heavy is imported before a command needs it."""
