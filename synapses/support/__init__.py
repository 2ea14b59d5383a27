"""What belongs to no room: files, command lines, constants with their source, Brian2's target."""
