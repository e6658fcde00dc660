window.EMOSYNTH_TIMINGS = [];
