"""Everyday things that ungrounded neutral examples are about."""

_LISTING = """
alphabet apple bakery battery bicycle blanket bookshelf bottle bridge broom bucket bus calendar candle carpet ceiling chair clock
coat corridor cupboard curtain desk door drawer elevator envelope fence fork garage garden hammer harbour kettle keyboard ladder lamp
letterbox library map meadow mirror motorway newspaper notebook oven parcel pavement pencil pharmacy pillow printer river roof scissors
shelf soap spoon station suitcase teapot ticket towel umbrella
"""
TOPICS = tuple(_LISTING.split())
