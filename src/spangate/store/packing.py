"""Bytes as the store keeps them: a zstd frame where that is shorter, else the bytes themselves. Which of the two, the bytes say."""

import threading

import msgspec
import zstandard

from ..exchange import Exchange

SHORT = 200  # bytes; below it a frame saves nothing worth its microseconds
LEVEL = 3

_FRAME = b"\x28\xb5\x2f\xfd"  # RFC 8878 §3.1.1; neither JSON nor a msgpack map begins so
_local = threading.local()  # zstandard's contexts are quick to reuse and not safe to share
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Exchange)


def packed(data: bytes) -> bytes:
    """What to store for `data`."""
    if len(data) < SHORT and not data.startswith(_FRAME):
        return data
    try:
        compressor: zstandard.ZstdCompressor = _local.compressor
    except AttributeError:
        compressor = _local.compressor = zstandard.ZstdCompressor(level=LEVEL)
    frame = compressor.compress(data)
    return frame if len(frame) < len(data) or data.startswith(_FRAME) else data


def unpacked(stored: bytes) -> bytes:
    """What `packed` was given."""
    if not stored.startswith(_FRAME):
        return stored
    try:
        decompressor: zstandard.ZstdDecompressor = _local.decompressor
    except AttributeError:
        decompressor = _local.decompressor = zstandard.ZstdDecompressor()
    return decompressor.decompress(stored)


def packed_exchange(exchange: Exchange) -> bytes:
    return packed(_encoder.encode(exchange))


def unpacked_exchange(stored: bytes) -> Exchange:
    return _decoder.decode(unpacked(stored))
