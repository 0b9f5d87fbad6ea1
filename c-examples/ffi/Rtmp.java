// Plays or publishes an RTMP stream, in Java with JNA (Debian: libjna-java).
//
//     java -cp /usr/share/java/jna.jar Rtmp.java play URL FILE
//     java -cp /usr/share/java/jna.jar Rtmp.java publish FILE URL
//
// The dynamic linker finds librtmp.so.1 (LD_LIBRARY_PATH). A file is published as fast as the server accepts it.
import com.sun.jna.Library;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

public class Rtmp {
    static final int SIZE = 64 * 1024;
    static final int LOG_CRITICAL = 0; // the program prints the reasons itself
    static final int ENDED = 1;        // RTMP_GetLastError at the end of a stream

    // The exit code for each of its other values, as in ../README.md.
    static final Map<Integer, Integer> EXIT_CODES = Map.ofEntries(
        Map.entry(4, 2), Map.entry(5, 2), Map.entry(7, 3), Map.entry(8, 3), Map.entry(9, 3), Map.entry(10, 3),
        Map.entry(11, 3), Map.entry(12, 4), Map.entry(13, 6), Map.entry(14, 5), Map.entry(15, 5), Map.entry(16, 8),
        Map.entry(17, 8), Map.entry(18, 8));

    interface LibRtmp extends Library {
        LibRtmp INSTANCE = Native.load("librtmp.so.1", LibRtmp.class);

        void RTMP_LogSetLevel(int level);
        Pointer RTMP_Alloc();
        void RTMP_Init(Pointer r);
        int RTMP_SetupURL(Pointer r, Pointer url);
        void RTMP_EnableWrite(Pointer r);
        int RTMP_Connect(Pointer r, Pointer cp);
        int RTMP_ConnectStream(Pointer r, int seekTime);
        int RTMP_Read(Pointer r, byte[] buffer, int size);
        int RTMP_Write(Pointer r, byte[] buffer, int size);
        int RTMP_GetLastError(Pointer r);
        String RTMP_GetErrorString(Pointer r);
        void RTMP_Close(Pointer r);
        void RTMP_Free(Pointer r);
    }

    static final LibRtmp RTMP = LibRtmp.INSTANCE;

    /** The reason for a failure, and the exit code. */
    @SuppressWarnings("serial")
    static class Failure extends Exception {
        final int code;

        Failure(String text, int code) {
            super(text);
            this.code = code;
        }
    }

    /** A stream that plays or is published. */
    static class Stream implements AutoCloseable {
        final Pointer handle = RTMP.RTMP_Alloc();
        // The library changes this text and uses it until RTMP_Close has returned: so it is memory outside of Java's heap.
        final Memory url;

        Stream(String text, boolean publish) throws Failure {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            url = new Memory(bytes.length + 1);
            url.write(0, bytes, 0, bytes.length);
            url.setByte(bytes.length, (byte) 0);
            if (handle == null)
                throw new OutOfMemoryError();
            RTMP.RTMP_Init(handle);
            try {
                if (RTMP.RTMP_SetupURL(handle, url) == 0)
                    throw failure("the URL is invalid", false);
                if (publish)
                    RTMP.RTMP_EnableWrite(handle);
                if (RTMP.RTMP_Connect(handle, null) == 0)
                    throw failure("cannot connect", true);
                if (RTMP.RTMP_ConnectStream(handle, 0) == 0)
                    throw failure("the server refuses the stream", false);
            } catch (Failure failure) {
                close();
                throw failure;
            }
        }

        /** An error with the library's reason, which has to be read before the session is freed. */
        Failure failure(String what, boolean connecting) {
            int code = EXIT_CODES.getOrDefault(RTMP.RTMP_GetLastError(handle), 1);
            String why = RTMP.RTMP_GetErrorString(handle);
            return new Failure(what + " (" + why + ")", connecting && (code == 5 || code == 8) ? 3 : code);
        }

        /** Waits for FLV bytes; 0 at the end of the stream. */
        int read(byte[] bytes) throws Failure {
            int count = RTMP.RTMP_Read(handle, bytes, bytes.length);
            if (count <= 0 && RTMP.RTMP_GetLastError(handle) != ENDED)
                throw failure("the stream broke off", false);
            return Math.max(count, 0);
        }

        /** Publishes bytes of an FLV file, cut anywhere. */
        void write(byte[] bytes, int count) throws Failure {
            if (RTMP.RTMP_Write(handle, bytes, count) != count)
                throw failure("the stream cannot continue", false);
        }

        @Override
        public void close() {
            RTMP.RTMP_Close(handle);
            RTMP.RTMP_Free(handle);
            url.clear();
        }
    }

    static void play(String url, String name) throws Failure, IOException {
        byte[] bytes = new byte[SIZE];
        try (Stream stream = new Stream(url, false); FileOutputStream file = new FileOutputStream(name)) {
            for (int count; (count = stream.read(bytes)) > 0;)
                file.write(bytes, 0, count);
        }
    }

    static void publish(String name, String url) throws Failure, IOException {
        byte[] bytes = new byte[SIZE];
        try (FileInputStream file = new FileInputStream(name); Stream stream = new Stream(url, true)) {
            for (int count; (count = file.read(bytes)) > 0;)
                stream.write(bytes, count);
        }
    }

    public static void main(String[] arguments) {
        boolean plays = arguments.length == 3 && arguments[0].equals("play");
        if (!plays && !(arguments.length == 3 && arguments[0].equals("publish"))) {
            System.err.println("usage: Rtmp play URL FILE | Rtmp publish FILE URL");
            System.exit(2);
        }
        RTMP.RTMP_LogSetLevel(LOG_CRITICAL);
        try {
            if (plays)
                play(arguments[1], arguments[2]);
            else
                publish(arguments[1], arguments[2]);
        } catch (Failure failure) {
            System.err.println("Rtmp: " + failure.getMessage());
            System.exit(failure.code);
        } catch (IOException error) {
            System.err.println("Rtmp: " + error.getMessage());
            System.exit(plays ? 7 : 8);
        }
    }
}
