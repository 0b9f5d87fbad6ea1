// Saves an RTMP stream as an FLV file, in C++17 with an object that closes what it opens.
//
//     c++ -std=c++17 receive.cpp -o receive $(pkg-config --cflags --libs librtmp)
#include <librtmp/log.h>
#include <librtmp/rtmp.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

// The exit codes of ../README.md.
int exit_code(int error)
{
    switch (error) {
    case RTMP_ERR_URL: case RTMP_ERR_OPTION:
        return 2;
    case RTMP_ERR_RESOLVE: case RTMP_ERR_CONNECT: case RTMP_ERR_PROXY: case RTMP_ERR_TLS: case RTMP_ERR_HANDSHAKE:
        return 3;
    case RTMP_ERR_REFUSED:
        return 4;
    case RTMP_ERR_CLOSED: case RTMP_ERR_IO:
        return 5;
    case RTMP_ERR_TIMEDOUT:
        return 6;
    case RTMP_ERR_MALFORMED: case RTMP_ERR_TOO_LARGE:
        return 8;
    default:
        return 1;
    }
}

struct Failure : std::runtime_error {
    Failure(const std::string &text, int code) : std::runtime_error(text), code(code) {}
    int code;
};

// A stream that plays.
class Stream {
public:
    explicit Stream(std::string url) : url(std::move(url)), rtmp(RTMP_Alloc())
    {
        if (!rtmp)
            throw std::bad_alloc();
        RTMP_Init(rtmp.get());
        if (!RTMP_SetupURL(rtmp.get(), this->url.data()))
            fail("the URL is wrong");
        if (!RTMP_Connect(rtmp.get(), nullptr))
            fail("cannot connect", true);
        if (!RTMP_ConnectStream(rtmp.get(), 0))
            fail("the stream does not play");
    }

    // Waits for FLV bytes; false at the end of the stream.
    bool read(std::vector<char> &bytes)
    {
        bytes.resize(64 * 1024);
        int count = RTMP_Read(rtmp.get(), bytes.data(), static_cast<int>(bytes.size()));
        if (count <= 0 && RTMP_GetLastError(rtmp.get()) != RTMP_ERR_ENDED)
            fail("the stream broke off");
        bytes.resize(static_cast<std::size_t>(count > 0 ? count : 0));
        return count > 0;
    }

private:
    // Throws, with the library's reason.
    [[noreturn]] void fail(const std::string &what, bool connecting = false)
    {
        int code = exit_code(RTMP_GetLastError(rtmp.get()));
        if (connecting && (code == 5 || code == 8))
            code = 3;
        throw Failure(what + " (" + RTMP_GetErrorString(rtmp.get()) + ')', code);
    }

    struct Close {
        void operator()(RTMP *rtmp) const
        {
            RTMP_Close(rtmp);
            RTMP_Free(rtmp);
        }
    };

    // Written to and used until RTMP_Close has returned, so it is declared before, and destroyed after, the session.
    // Moving a Stream would move short text away from under it.
    std::string url;
    std::unique_ptr<RTMP, Close> rtmp;

public:
    Stream(Stream &&) = delete;
};

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::cerr << "usage: receive URL FILE\n";
        return 2;
    }
    RTMP_LogSetLevel(RTMP_LOGCRIT); // the program prints the reasons itself
    try {
        Stream stream(argv[1]);
        std::ofstream file;
        file.exceptions(std::ios::badbit | std::ios::failbit);
        file.open(argv[2], std::ios::binary);
        for (std::vector<char> bytes; stream.read(bytes);)
            file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        file.close();
    } catch (const Failure &failure) {
        std::cerr << "receive: " << failure.what() << '\n';
        return failure.code;
    } catch (const std::ios::failure &failure) {
        std::cerr << "receive: cannot write " << argv[2] << ": " << std::strerror(errno) << '\n';
        return 7;
    } catch (const std::exception &error) {
        std::cerr << "receive: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
