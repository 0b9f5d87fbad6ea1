#!/usr/bin/env python3
"""Plays any number of RTMP streams at once in one thread, with asyncio and ctypes.

    rtmp_asyncio.py URL FILE [URL FILE]...

The dynamic linker finds librtmp.so.1 (LD_LIBRARY_PATH). The sessions never wait (librtmp/loop.h): asyncio waits for their
descriptors and deadlines, as for everything else that the program does.
"""
import asyncio
import ctypes
import sys
from ctypes import c_char_p, c_int, c_short, c_void_p

SIZE = 64 * 1024
POLLIN, POLLOUT = 1, 4
ENDED, AGAIN = 1, 25  # RTMP_ERR_ENDED, RTMP_ERR_AGAIN
CONNECTED, FAILED = 0x01, 0x20  # RTMP_STEP_CONNECTED, RTMP_STEP_FAILED
LOG_CRITICAL = 0

library = ctypes.CDLL("librtmp.so.1")


class PollFd(ctypes.Structure):
    _fields_ = [("fd", c_int), ("events", c_short), ("revents", c_short)]


def function(name, result, *arguments):
    """A function of the library. Without these types, ctypes would cut pointers to the size of an int."""
    found = getattr(library, name)
    found.restype, found.argtypes = result, arguments
    return found


log_set_level = function("RTMP_LogSetLevel", None, c_int)
alloc = function("RTMP_Alloc", c_void_p)
init = function("RTMP_Init", None, c_void_p)
setup_url = function("RTMP_SetupURL", c_int, c_void_p, c_void_p)
set_non_blocking = function("RTMP_SetNonBlocking", c_int, c_void_p, c_int)
connect = function("RTMP_Connect", c_int, c_void_p, c_void_p)
connect_stream = function("RTMP_ConnectStream", c_int, c_void_p, c_int)
read = function("RTMP_Read", c_int, c_void_p, c_void_p, c_int)
step = function("RTMP_Step", c_int, c_void_p)
poll_fds = function("RTMP_GetPollFds", c_int, c_void_p, ctypes.POINTER(PollFd), c_int)
poll_timeout = function("RTMP_GetPollTimeout", c_int, c_void_p)
last_error = function("RTMP_GetLastError", c_int, c_void_p)
error_string = function("RTMP_GetErrorString", c_char_p, c_void_p)
close = function("RTMP_Close", None, c_void_p)
free = function("RTMP_Free", None, c_void_p)


class Failure(Exception):
    """Why a stream did not come to its end."""


class Stream:
    """A stream that plays: `async for` returns its FLV bytes."""

    def __init__(self, url):
        # The library changes this text and uses it until RTMP_Close has returned: so it is a buffer, and an attribute.
        self.url = ctypes.create_string_buffer(url.encode())
        self.buffer = ctypes.create_string_buffer(SIZE)
        self.handle = alloc()
        if not self.handle:
            raise MemoryError
        init(self.handle)
        self.check(setup_url(self.handle, self.url))
        self.check(set_non_blocking(self.handle, 1))

    def check(self, result):
        """Raises the reason for a failure, unless it is that the call would have to wait. Returns whether it succeeded."""
        if not result and last_error(self.handle) != AGAIN:
            raise Failure(error_string(self.handle).decode())
        return bool(result)

    async def wait(self):
        """Waits until a step is due, and takes it. Returns the bits of RTMP_Step."""
        loop = asyncio.get_running_loop()
        due = loop.create_future()
        fds = (PollFd * 16)()
        count = min(poll_fds(self.handle, fds, 16), 16)
        wake = lambda: due.done() or due.set_result(None)
        readers = [fds[i].fd for i in range(count) if fds[i].events & POLLIN]
        writers = [fds[i].fd for i in range(count) if fds[i].events & POLLOUT]
        timeout = poll_timeout(self.handle)
        if count == 0 and timeout < 0:
            return 0  # there is nothing left to wait for
        timer = loop.call_later(timeout / 1000, wake) if timeout >= 0 else None
        for fd in readers:
            loop.add_reader(fd, wake)
        for fd in writers:
            loop.add_writer(fd, wake)
        try:
            await due
        finally:
            # The set of descriptors changes with every call about the session, so it is asked for each time.
            for fd in readers:
                loop.remove_reader(fd)
            for fd in writers:
                loop.remove_writer(fd)
            if timer:
                timer.cancel()
        bits = step(self.handle)
        if bits & FAILED:
            raise Failure(error_string(self.handle).decode())
        return bits

    async def __aiter__(self):
        connected = self.check(connect(self.handle, None))
        while not connected:
            connected = bool(await self.wait() & CONNECTED)
        while not self.check(connect_stream(self.handle, 0)):
            await self.wait()
        while True:
            count = read(self.handle, self.buffer, SIZE)
            if count > 0:
                yield self.buffer.raw[:count]
            elif last_error(self.handle) == AGAIN:
                await self.wait()
            elif last_error(self.handle) == ENDED:
                return
            else:
                raise Failure(error_string(self.handle).decode())

    def close(self):
        close(self.handle)
        free(self.handle)


async def save(url, name):
    stream = Stream(url)
    try:
        with open(name, "wb") as file:
            async for data in stream:
                file.write(data)
    finally:
        stream.close()


async def main(arguments):
    pairs = list(zip(arguments[::2], arguments[1::2]))
    results = await asyncio.gather(*(save(*pair) for pair in pairs), return_exceptions=True)
    for (url, _), result in zip(pairs, results):
        if result is not None:
            print(f"rtmp_asyncio.py: {url}: {result}", file=sys.stderr)
    return 1 if any(result is not None for result in results) else 0


if __name__ == "__main__":
    if len(sys.argv) < 3 or len(sys.argv) % 2 == 0:
        sys.exit(__doc__)
    log_set_level(LOG_CRITICAL)
    sys.exit(asyncio.run(main(sys.argv[1:])))
