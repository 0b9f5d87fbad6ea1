#!/usr/bin/env python3
"""Saves an RTMP stream as an FLV file, with ctypes and nothing else.

    receive.py URL FILE

librtmp is the one that the dynamic linker finds (LD_LIBRARY_PATH).
"""
import ctypes
import sys
from ctypes import c_char_p, c_int, c_void_p

SIZE = 64 * 1024
LOG_ERROR = 1

library = ctypes.CDLL("librtmp.so.1")


def function(name, result, *arguments):
    """A function of the library. Without these types ctypes would cut pointers to the size of an int."""
    found = getattr(library, name)
    found.restype, found.argtypes = result, arguments
    return found


log_set_level = function("RTMP_LogSetLevel", None, c_int)
alloc = function("RTMP_Alloc", c_void_p)
init = function("RTMP_Init", None, c_void_p)
setup_url = function("RTMP_SetupURL", c_int, c_void_p, c_void_p)
connect = function("RTMP_Connect", c_int, c_void_p, c_void_p)
connect_stream = function("RTMP_ConnectStream", c_int, c_void_p, c_int)
read = function("RTMP_Read", c_int, c_void_p, c_void_p, c_int)
is_timed_out = function("RTMP_IsTimedout", c_int, c_void_p)
error_string = function("RTMP_GetErrorString", c_char_p, c_void_p)
close = function("RTMP_Close", None, c_void_p)
free = function("RTMP_Free", None, c_void_p)


class Stream:
    """A stream that plays, as an iterator of FLV bytes."""

    def __init__(self, url):
        # Written to and used until RTMP_Close has returned, so it is a buffer of ours, not a temporary string.
        self.url = ctypes.create_string_buffer(url.encode())
        self.handle = alloc()
        if not self.handle:
            raise MemoryError
        init(self.handle)
        if not setup_url(self.handle, self.url):
            raise self.failure("the URL is wrong")
        if not connect(self.handle, None) or not connect_stream(self.handle, 0):
            raise self.failure("the stream does not play")

    def failure(self, what):
        """An error with the library's reason, which has to be asked for before the session is freed."""
        why = error_string(self.handle).decode(errors="replace")
        self.close()
        return OSError(f"{what} ({why})")

    def __iter__(self):
        buffer = ctypes.create_string_buffer(SIZE)
        while (count := read(self.handle, buffer, SIZE)) > 0:
            yield buffer.raw[:count]
        if count < 0 or is_timed_out(self.handle):
            raise self.failure("the stream broke off")

    def close(self):
        if self.handle:
            close(self.handle)
            free(self.handle)
            self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def main(url, file):
    log_set_level(LOG_ERROR)
    with Stream(url) as stream, open(file, "wb") as output:
        output.writelines(stream)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"receive.py: {error}")
