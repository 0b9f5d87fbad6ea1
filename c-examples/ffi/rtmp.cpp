// Plays or publishes an RTMP stream, in C++17 with an object that closes what it opens.
//
//     c++ -std=c++17 rtmp.cpp -o rtmp $(pkg-config --cflags --libs librtmp)
//     rtmp play URL FILE
//     rtmp publish FILE URL
//
// A file is published as fast as the server accepts it.
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
    case RTMP_ERR_MALFORMED: case RTMP_ERR_TOO_LARGE: case RTMP_ERR_FLV:
        return 8;
    default:
        return 1;
    }
}

struct Failure : std::runtime_error {
    Failure(const std::string &text, int code) : std::runtime_error(text), code(code) {}
    int code;
};

// A stream that plays or is published.
class Stream {
public:
    enum Direction { play, publish };

    Stream(std::string url, Direction direction) : url(std::move(url)), rtmp(RTMP_Alloc())
    {
        if (!rtmp)
            throw std::bad_alloc();
        RTMP_Init(rtmp.get());
        if (!RTMP_SetupURL(rtmp.get(), this->url.data()))
            fail("the URL is invalid");
        if (direction == publish)
            RTMP_EnableWrite(rtmp.get());
        if (!RTMP_Connect(rtmp.get(), nullptr))
            fail("cannot connect", true);
        if (!RTMP_ConnectStream(rtmp.get(), 0))
            fail("the server refuses the stream");
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

    // Publishes bytes of an FLV file, cut anywhere.
    void write(const char *bytes, int count)
    {
        if (RTMP_Write(rtmp.get(), bytes, count) != count)
            fail("the stream cannot continue");
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

    // The library changes this text and uses it until RTMP_Close has returned. So it is declared before the session, and
    // destroyed after it.
    std::string url;
    std::unique_ptr<RTMP, Close> rtmp;

public:
    Stream(Stream &&) = delete; // moving would move short text
};

void play(const char *url, const char *name)
{
    Stream stream(url, Stream::play);
    std::ofstream file;
    file.exceptions(std::ios::badbit | std::ios::failbit);
    file.open(name, std::ios::binary);
    for (std::vector<char> bytes; stream.read(bytes);)
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
}

void publish(const char *name, const char *url)
{
    std::ifstream file;
    file.exceptions(std::ios::badbit | std::ios::failbit);
    file.open(name, std::ios::binary);
    file.exceptions(std::ios::badbit);
    Stream stream(url, Stream::publish);
    std::vector<char> bytes(64 * 1024);
    while (file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())), file.gcount() > 0)
        stream.write(bytes.data(), static_cast<int>(file.gcount()));
}

int main(int argc, char **argv)
{
    const std::string job = argc == 4 ? argv[1] : "";
    if (job != "play" && job != "publish") {
        std::cerr << "usage: rtmp play URL FILE | rtmp publish FILE URL\n";
        return 2;
    }
    RTMP_LogSetLevel(RTMP_LOGCRIT); // the program prints the reasons itself
    try {
        if (job == "play")
            play(argv[2], argv[3]);
        else
            publish(argv[2], argv[3]);
    } catch (const Failure &failure) {
        std::cerr << "rtmp: " << failure.what() << '\n';
        return failure.code;
    } catch (const std::ios::failure &failure) {
        const bool plays = job == "play";
        std::cerr << "rtmp: cannot " << (plays ? "write " : "read ") << argv[plays ? 3 : 2] << ": " << std::strerror(errno) << '\n';
        return plays ? 7 : 8;
    } catch (const std::exception &error) {
        std::cerr << "rtmp: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
