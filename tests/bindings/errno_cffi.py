"""What a Python program sees in errno behind each call, with cffi: `errno_cffi.py DEAD-URL URL`."""
import errno
import sys

from cffi import FFI

ffi = FFI()
ffi.cdef("""
    void *RTMP_Alloc(void);
    void RTMP_Init(void *r);
    void RTMP_Free(void *r);
    void RTMP_Close(void *r);
    int RTMP_SetupURL(void *r, char *url);
    int RTMP_Connect(void *r, void *packet);
    int RTMP_ConnectStream(void *r, int seek);
    int RTMP_Read(void *r, char *buffer, int size);
    int RTMP_SendPause(void *r, int pause, int time);
""")
rtmp = ffi.dlopen("librtmp.so.1")


def call(name, *arguments):
    ffi.errno = 0
    result = getattr(rtmp, name)(*arguments)
    left = ffi.errno
    return result, errno.errorcode.get(left, "-")


def show(name, *arguments):
    print(name, *call(name, *arguments))


def session(url):
    r = rtmp.RTMP_Alloc()
    rtmp.RTMP_Init(r)
    text = ffi.new("char[]", url.encode())
    show("RTMP_SetupURL", r, text)
    return r, text


r, dead = session(sys.argv[1])
show("RTMP_Connect", r, ffi.NULL)
rtmp.RTMP_Close(r)
rtmp.RTMP_Free(r)

r, text = session(sys.argv[2])
show("RTMP_Connect", r, ffi.NULL)
show("RTMP_ConnectStream", r, 0)
block = ffi.new("char[]", 65536)
total = 0
while True:
    count, left = call("RTMP_Read", r, block, 65536)
    if count <= 0:
        break
    total += count
    if left != "-":
        print("RTMP_Read", left)
print("RTMP_Read", count, left, total)
show("RTMP_SendPause", r, 1, 0)
rtmp.RTMP_Close(r)
rtmp.RTMP_Free(r)
