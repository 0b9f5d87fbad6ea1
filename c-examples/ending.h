/* What the exit codes of these programs say. */
#ifndef EXAMPLES_ENDING_H
#define EXAMPLES_ENDING_H

enum ending {
    END_WELL = 0,
    END_FAILED = 1,
    END_WRONG_USE = 2,
    END_NOT_CONNECTED = 3,
    END_REFUSED = 4,
    END_LOST = 5,
    END_TIMED_OUT = 6,
    END_FILE_FAILED = 7,
    END_CUT = 8
};

/* For the text that -h prints. README.md has the same table. */
#define ENDING_HELP \
    "Exit codes:\n" \
    "  0  all went well: the server ended the stream, or everything was sent, or Ctrl-C ended it\n" \
    "  1  any other failure; also: nothing came before the stream ended or Ctrl-C was pressed\n" \
    "  2  wrong use, or an address or option that cannot be used\n" \
    "  3  no connection: unknown host, connection refused, proxy, TLS or handshake failed\n" \
    "  4  the server refused\n" \
    "  5  the connection was lost\n" \
    "  6  the server did not answer, or was silent, for too long\n" \
    "  7  a file or pipe could not be opened, read or written\n" \
    "  8  the FLV file or the stream is cut or damaged; what is whole was sent or kept\n"

#endif
