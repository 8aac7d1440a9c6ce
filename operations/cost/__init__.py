"""The monthly cost of the synthesized stacks, at the list prices of AWS."""
