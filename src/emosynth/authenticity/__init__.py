"""Linguistic authenticity: how close generated text is to real text, measure by measure, beside a real-against-real control."""
