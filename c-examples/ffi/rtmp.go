// Plays or publishes an RTMP stream, in Go with cgo.
//
//	go build -o rtmp rtmp.go
//	rtmp play URL FILE
//	rtmp publish FILE URL
//
// A file is published as fast as the server accepts it.
package main

/*
#cgo pkg-config: librtmp
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"
)

const size = 64 * 1024

// Failure is the reason for a failure, and the exit code.
type Failure struct {
	text string
	code int
}

func (failure *Failure) Error() string { return failure.text }

// The exit codes of ../README.md, by RTMP_GetLastError.
var exitCodes = map[C.int]int{
	C.RTMP_ERR_URL: 2, C.RTMP_ERR_OPTION: 2, C.RTMP_ERR_RESOLVE: 3, C.RTMP_ERR_CONNECT: 3, C.RTMP_ERR_PROXY: 3,
	C.RTMP_ERR_TLS: 3, C.RTMP_ERR_HANDSHAKE: 3, C.RTMP_ERR_REFUSED: 4, C.RTMP_ERR_TIMEDOUT: 6, C.RTMP_ERR_CLOSED: 5,
	C.RTMP_ERR_IO: 5, C.RTMP_ERR_MALFORMED: 8, C.RTMP_ERR_TOO_LARGE: 8, C.RTMP_ERR_FLV: 8,
}

// Stream is a stream that plays (an io.Reader of FLV bytes) or is published (an io.Writer).
type Stream struct {
	handle *C.RTMP
	// The library changes this text and uses it until RTMP_Close has returned: so it is C memory.
	url *C.char
}

// Open connects. Call Close afterwards.
func Open(url string, publish bool) (*Stream, error) {
	stream := &Stream{handle: C.RTMP_Alloc(), url: C.CString(url)}
	if stream.handle == nil {
		C.free(unsafe.Pointer(stream.url))
		return nil, errors.New("out of memory")
	}
	C.RTMP_Init(stream.handle)
	err := stream.connect(publish)
	if err != nil {
		stream.Close()
		return nil, err
	}
	return stream, nil
}

func (stream *Stream) connect(publish bool) error {
	if C.RTMP_SetupURL(stream.handle, stream.url) == 0 {
		return stream.failure("the URL is invalid")
	}
	if publish {
		C.RTMP_EnableWrite(stream.handle)
	}
	if C.RTMP_Connect(stream.handle, nil) == 0 {
		failure := stream.failure("cannot connect")
		if failure.code == 5 || failure.code == 8 {
			failure.code = 3
		}
		return failure
	}
	if C.RTMP_ConnectStream(stream.handle, 0) == 0 {
		return stream.failure("the server refuses the stream")
	}
	return nil
}

// An error with the library's reason, which has to be read before the session is freed.
func (stream *Stream) failure(what string) *Failure {
	code, known := exitCodes[C.RTMP_GetLastError(stream.handle)]
	if !known {
		code = 1
	}
	why := C.GoString(C.RTMP_GetErrorString(stream.handle))
	return &Failure{fmt.Sprintf("%s (%s)", what, why), code}
}

// Read waits for FLV bytes.
func (stream *Stream) Read(bytes []byte) (int, error) {
	if len(bytes) == 0 {
		return 0, nil
	}
	count := C.RTMP_Read(stream.handle, (*C.char)(unsafe.Pointer(&bytes[0])), C.int(len(bytes)))
	if count > 0 {
		return int(count), nil
	}
	if C.RTMP_GetLastError(stream.handle) == C.RTMP_ERR_ENDED {
		return 0, io.EOF
	}
	return 0, stream.failure("the stream broke off")
}

// Write publishes bytes of an FLV file, cut anywhere.
func (stream *Stream) Write(bytes []byte) (int, error) {
	if len(bytes) == 0 {
		return 0, nil
	}
	count := C.RTMP_Write(stream.handle, (*C.char)(unsafe.Pointer(&bytes[0])), C.int(len(bytes)))
	if int(count) != len(bytes) {
		return 0, stream.failure("the stream cannot continue")
	}
	return int(count), nil
}

// Close ends the stream and frees everything.
func (stream *Stream) Close() {
	C.RTMP_Close(stream.handle)
	C.RTMP_Free(stream.handle)
	C.free(unsafe.Pointer(stream.url))
}

func play(url, name string) error {
	stream, err := Open(url, false)
	if err != nil {
		return err
	}
	defer stream.Close()
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(file, stream, make([]byte, size))
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

func publish(name, url string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	stream, err := Open(url, true)
	if err != nil {
		return err
	}
	defer stream.Close()
	_, err = io.CopyBuffer(stream, file, make([]byte, size))
	return err
}

func main() {
	jobs := map[string]func(from, to string) error{"play": play, "publish": publish}
	if len(os.Args) != 4 || jobs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: rtmp play URL FILE | rtmp publish FILE URL")
		os.Exit(2)
	}
	C.RTMP_LogSetLevel(C.RTMP_LOGCRIT) // the program prints the reasons itself
	err := jobs[os.Args[1]](os.Args[2], os.Args[3])
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "rtmp:", err)
	var failure *Failure
	if errors.As(err, &failure) {
		os.Exit(failure.code)
	}
	if os.Args[1] == "play" {
		os.Exit(7)
	}
	os.Exit(8)
}
