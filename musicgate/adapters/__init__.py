"""The outside world behind the ports: sockets, databases, files and the clock; each module knows one of them."""
