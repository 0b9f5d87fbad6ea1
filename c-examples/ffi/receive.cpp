// Saves an RTMP stream as an FLV file, in C++17 with an object that closes what it opens.
//
//     c++ -std=c++17 receive.cpp -o receive $(pkg-config --cflags --libs librtmp)
#include <librtmp/log.h>
#include <librtmp/rtmp.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

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
        if (!RTMP_Connect(rtmp.get(), nullptr) || !RTMP_ConnectStream(rtmp.get(), 0))
            fail("the stream does not play");
    }

    // Waits for FLV bytes; false at the end of the stream.
    bool read(std::vector<char> &bytes)
    {
        bytes.resize(64 * 1024);
        int count = RTMP_Read(rtmp.get(), bytes.data(), static_cast<int>(bytes.size()));
        if (count < 0 || (count == 0 && RTMP_IsTimedout(rtmp.get())))
            fail("the stream broke off");
        bytes.resize(static_cast<std::size_t>(count));
        return count > 0;
    }

private:
    // Throws, with the library's reason.
    [[noreturn]] void fail(const std::string &what)
    {
        throw std::runtime_error(what + " (" + RTMP_GetErrorString(rtmp.get()) + ')');
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
    RTMP_LogSetLevel(RTMP_LOGERROR);
    try {
        Stream stream(argv[1]);
        std::ofstream file;
        file.exceptions(std::ios::badbit | std::ios::failbit);
        file.open(argv[2], std::ios::binary);
        for (std::vector<char> bytes; stream.read(bytes);)
            file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        file.close();
    } catch (const std::exception &error) {
        std::cerr << "receive: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
