/* Common code of the command-line programs: messages, progress, JSON, times, signals, and waits between attempts. */
#ifndef EXAMPLES_TOOL_H
#define EXAMPLES_TOOL_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include "ending.h"

#define TOOL_VERSION "0.1.0"

/* Options that all programs have. */
struct tool {
    const char *name;
    int quiet, verbose, json, progress;
    FILE *report;      /* where JSON goes */
    char problem[600]; /* the reason for the failure, without the program's name; empty if there is none */
};

/* The help text of these options. */
#define TOOL_HELP \
    "Messages:\n" \
    "  -q, --quiet            print errors only\n" \
    "  -v, --verbose          print the library's log as well (twice: all of it)\n" \
    "      --progress         show progress even if standard error is not a terminal\n" \
    "      --json             print the result as JSON instead of text\n" \
    "  -h, --help             print this text and exit\n" \
    "  -V, --version          print the versions of the program and the library and exit\n"

/* Entries for getopt_long, and their short letters. */
enum { TOOL_PROGRESS = 1000, TOOL_JSON };
#define TOOL_LETTERS "qvhV"
#define TOOL_OPTIONS \
    { "quiet", no_argument, NULL, 'q' }, { "verbose", no_argument, NULL, 'v' }, \
    { "progress", no_argument, NULL, TOOL_PROGRESS }, { "json", no_argument, NULL, TOOL_JSON }, \
    { "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 }

/* The name that the program was started by, for its messages. Call it before anything is opened. */
const char *tool_name(char **argv);

/* Takes one of these options. Returns -1 to continue, or the exit code after --help and --version. */
int tool_option(struct tool *tool, int letter, void (*usage)(FILE *to));

/* Stores the reason for a failure, in place of an earlier one. Returns `ending`. */
enum ending tool_fail(struct tool *tool, enum ending ending, const char *format, ...)
    __attribute__((__format__(__printf__, 3, 4)));

/* Prints the stored reason as one line, with the program's name in front. */
void tool_print_problem(const struct tool *tool);

/* Ends the printing of a result. Returns `ending`, or after a success the failure to print, whose reason it prints. */
enum ending tool_flush(struct tool *tool, FILE *to, enum ending ending);

/* Prints a line that is not an error, unless --quiet was given. */
void tool_notice(const struct tool *tool, const char *format, ...) __attribute__((__format__(__printf__, 2, 3)));

/* The same with --quiet as well. */
void tool_warn(const struct tool *tool, const char *format, ...) __attribute__((__format__(__printf__, 2, 3)));

/* Whether a progress line is wanted: on a terminal, or with --progress. */
int tool_shows_progress(const struct tool *tool);

/* Ends the line that progress was shown on. */
void tool_end_progress(const struct tool *tool);

/* Writes `"name": "text"`, escaped for JSON and for terminals. */
void tool_json_text(FILE *to, const char *name, const char *text);

/* Parses a time: 90 and 90s are seconds, 1500ms are milliseconds. Returns 0 if the text is not a time. */
int tool_parse_time(const char *text, uint32_t *milliseconds);

/* Parses a whole number from `least` to `most`. Returns 0 if the text is not such a number. */
int tool_parse_number(const char *text, int least, int most, int *number);

/* Whether a URL has a scheme of RTMP. The library reports other errors in a URL, but connects with RTMP to any other scheme, as
 * librtmp 2.4 does. */
int tool_is_rtmp(const char *url);

/* Milliseconds of a clock that never goes backwards. */
int64_t tool_clock(void);

/* Calls `handler` for SIGINT, SIGTERM and SIGHUP, the last one unless it is ignored. A second signal ends the program at once, unless it arrives within half a second:
 * timeout(1) sends a signal twice. */
void tool_catch_signals(void (*handler)(int number));

/* Attempts to connect again. Each failure in a row doubles the wait. */
struct retry {
    int most;    /* attempts in a row, 0 for none */
    int attempt; /* attempts made so far */
};

/* Whether another attempt makes sense after this ending. */
int retry_may(const struct retry *retry, enum ending ending);

/* Prints the reason and waits 1, 2, 4 … 30 seconds. Returns 0 if `*stop` was set meanwhile. */
int retry_wait(struct retry *retry, struct tool *tool, const volatile sig_atomic_t *stop);

#endif
