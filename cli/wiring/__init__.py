"""What each command takes: a function a command, which parses and hands over to the file of that name in cli/.

The functions import what a command needs when it runs, so that --help is fast.
"""
