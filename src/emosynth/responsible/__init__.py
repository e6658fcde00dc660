"""What synthetic text copies, gives away and distorts, and what people say of it. Start from `emosynth.responsible.build` and `survey`."""
