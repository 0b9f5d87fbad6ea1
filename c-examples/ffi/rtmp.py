#!/usr/bin/env python3
"""Plays or publishes an RTMP stream, with ctypes and no other module.

    rtmp.py play URL FILE
    rtmp.py publish FILE URL

The dynamic linker finds librtmp.so.1 (LD_LIBRARY_PATH). A file is published as fast as the server accepts it.
"""
import ctypes
import sys
from ctypes import c_char_p, c_int, c_void_p

SIZE = 64 * 1024
LOG_CRITICAL = 0  # the program prints the reasons itself

ENDED = 1  # RTMP_GetLastError at the end of a stream
# The exit code for each of its other values, as in ../README.md.
EXIT_CODES = {4: 2, 5: 2, 7: 3, 8: 3, 9: 3, 10: 3, 11: 3, 12: 4, 13: 6, 14: 5, 15: 5, 16: 8, 17: 8, 18: 8}
NOT_CONNECTED, OUTPUT_FAILED, INPUT_FAILED = 3, 7, 8

library = ctypes.CDLL("librtmp.so.1")


def function(name, result, *arguments):
    """A function of the library. Without these types, ctypes would cut pointers to the size of an int."""
    found = getattr(library, name)
    found.restype, found.argtypes = result, arguments
    return found


log_set_level = function("RTMP_LogSetLevel", None, c_int)
alloc = function("RTMP_Alloc", c_void_p)
init = function("RTMP_Init", None, c_void_p)
setup_url = function("RTMP_SetupURL", c_int, c_void_p, c_void_p)
enable_write = function("RTMP_EnableWrite", None, c_void_p)
connect = function("RTMP_Connect", c_int, c_void_p, c_void_p)
connect_stream = function("RTMP_ConnectStream", c_int, c_void_p, c_int)
read = function("RTMP_Read", c_int, c_void_p, c_void_p, c_int)
write = function("RTMP_Write", c_int, c_void_p, c_char_p, c_int)
last_error = function("RTMP_GetLastError", c_int, c_void_p)
error_string = function("RTMP_GetErrorString", c_char_p, c_void_p)
close = function("RTMP_Close", None, c_void_p)
free = function("RTMP_Free", None, c_void_p)


class Failure(Exception):
    """The reason for a failure, and the exit code."""

    def __init__(self, text, code):
        super().__init__(text)
        self.code = code


class Stream:
    """A stream that plays, as an iterator of FLV bytes, or one that is published with write()."""

    def __init__(self, url, publish=False):
        # The library changes this text and uses it until RTMP_Close has returned: so it is a buffer, and an attribute.
        self.url = ctypes.create_string_buffer(url.encode())
        self.handle = alloc()
        if not self.handle:
            raise MemoryError
        init(self.handle)
        if not setup_url(self.handle, self.url):
            raise self.failure("the URL is invalid")
        if publish:
            enable_write(self.handle)
        if not connect(self.handle, None):
            raise self.failure("cannot connect", {5: NOT_CONNECTED, 8: NOT_CONNECTED})
        if not connect_stream(self.handle, 0):
            raise self.failure("the server refuses the stream")

    def failure(self, what, codes=None):
        """An error with the library's reason, which has to be read before the session is freed."""
        why = error_string(self.handle).decode(errors="replace")
        code = EXIT_CODES.get(last_error(self.handle), 1)
        self.close()
        return Failure(f"{what} ({why})", (codes or {}).get(code, code))

    def __iter__(self):
        buffer = ctypes.create_string_buffer(SIZE)
        while (count := read(self.handle, buffer, SIZE)) > 0:
            yield buffer.raw[:count]
        if last_error(self.handle) != ENDED:
            raise self.failure("the stream broke off")

    def write(self, data):
        """Publishes bytes of an FLV file, cut anywhere."""
        if write(self.handle, data, len(data)) != len(data):
            raise self.failure("the stream cannot continue")

    def close(self):
        if self.handle:
            close(self.handle)
            free(self.handle)
            self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def play(url, file):
    with Stream(url) as stream, open(file, "wb") as output:
        output.writelines(stream)


def publish(file, url):
    with open(file, "rb") as film, Stream(url, publish=True) as stream:
        while data := film.read(SIZE):
            stream.write(data)


if __name__ == "__main__":
    jobs = {"play": play, "publish": publish}
    if len(sys.argv) != 4 or sys.argv[1] not in jobs:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    log_set_level(LOG_CRITICAL)
    try:
        jobs[sys.argv[1]](*sys.argv[2:])
    except (Failure, OSError) as error:
        print(f"rtmp.py: {error}", file=sys.stderr)
        sys.exit(getattr(error, "code", OUTPUT_FAILED if sys.argv[1] == "play" else INPUT_FAILED))
