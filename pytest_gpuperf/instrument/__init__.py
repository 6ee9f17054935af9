"""What looks at the instrument itself: clocks, evidence, memory and power, each beside something that knows better."""
