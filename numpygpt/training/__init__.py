"""Training: the optimiser, the learning rate's schedule, the data and the loop."""
