"""What a Python program sees in errno behind each call: `errno_ctypes.py DEAD-URL URL`."""
import ctypes
import errno
import sys

rtmp = ctypes.CDLL("librtmp.so.1", use_errno=True)
rtmp.RTMP_Alloc.restype = ctypes.c_void_p


def call(name, *arguments):
    ctypes.set_errno(0)
    result = getattr(rtmp, name)(*arguments)
    left = ctypes.get_errno()
    return result, errno.errorcode.get(left, "-")


def show(name, *arguments):
    print(name, *call(name, *arguments))


def session(url):
    r = ctypes.c_void_p(rtmp.RTMP_Alloc())
    rtmp.RTMP_Init(r)
    text = ctypes.create_string_buffer(url.encode())
    show("RTMP_SetupURL", r, text)
    return r, text


r, dead = session(sys.argv[1])
show("RTMP_Connect", r, None)
rtmp.RTMP_Close(r)
rtmp.RTMP_Free(r)

r, text = session(sys.argv[2])
show("RTMP_Connect", r, None)
show("RTMP_ConnectStream", r, 0)
block = ctypes.create_string_buffer(65536)
total = 0
while True:
    count, left = call("RTMP_Read", r, block, len(block))
    if count <= 0:
        break
    total += count
    if left != "-":
        print("RTMP_Read", left)
print("RTMP_Read", count, left, total)
show("RTMP_SendPause", r, 1, 0)
rtmp.RTMP_Close(r)
rtmp.RTMP_Free(r)
