"""How fast it is: `make bench` runs everything and prints JSON."""
