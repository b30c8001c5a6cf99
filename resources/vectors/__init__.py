"""Vector stores: one protocol, an embedded backend of immutable segments, a Qdrant server backend.

``protocol`` what a store promises; ``filters`` what a search may ask for; ``ranking`` exact top lists and their merge;
``segment`` one immutable folder of points; ``quantizing`` how its vectors are scanned; ``generation`` the files that name
segments; ``merging`` which segments are merged; ``publishing`` and ``reading`` one shard's writer and readers; ``edge`` and
``server`` the two backends.
"""
