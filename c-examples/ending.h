/* The exit codes of these programs. */
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
    END_OUTPUT = 7,
    END_INPUT = 8
};

/* For the text of --help. README.md and the manual pages have the same table. */
#define ENDING_HELP \
    "Exit codes:\n" \
    "  0  success: the stream ended, everything was sent, or Ctrl-C stopped it\n" \
    "  1  another failure; also: the stream ended or was stopped before any data\n" \
    "  2  wrong usage, or an invalid URL or option\n" \
    "  3  cannot connect: host not found, connection refused, proxy, TLS or handshake failed\n" \
    "  4  the server refused the stream\n" \
    "  5  the connection was lost\n" \
    "  6  timeout: the server did not answer, or sent nothing\n" \
    "  7  the output could not be opened or written\n" \
    "  8  the input could not be read, is not FLV, or is cut or damaged\n"

#endif
