#define _POSIX_C_SOURCE 200809L
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <librtmp/rtmp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* Without standard input, output or error, the next file or socket would get its number, and the messages. What is opened here
 * instead fails when it is used, like the closed descriptor. */
static void fill_standard_descriptors(void)
{
#ifndef _WIN32
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            abort();
#endif
}

const char *tool_name(char **argv)
{
    fill_standard_descriptors();
    char *slash = argv[0] ? strrchr(argv[0], '/') : NULL;
#ifdef _WIN32
    char *backslash = argv[0] ? strrchr(argv[0], '\\') : NULL;
    slash = backslash > slash ? backslash : slash;
#endif
    if (slash)
        argv[0] = slash + 1; /* in the messages of getopt_long, too */
    return argv[0] ? argv[0] : "?";
}

int tool_option(struct tool *tool, int letter, void (*usage)(FILE *to))
{
    int version = RTMP_LibVersion();
    switch (letter) {
    case 'q': tool->quiet = 1; return -1;
    case 'v': tool->verbose++; return -1;
    case TOOL_PROGRESS: tool->progress = 1; return -1;
    case TOOL_JSON: tool->json = 1; return -1;
    case 'h': usage(stdout); break;
    case 'V':
        printf("%s " TOOL_VERSION ", librtmp %d.%d\n", tool->name, version >> 16 & 0xff, version >> 8 & 0xff);
        break;
    default: return END_WRONG_USE; /* getopt_long has said what is wrong */
    }
    return fflush(stdout) == 0 ? END_WELL : END_OUTPUT;
}

enum ending tool_fail(struct tool *tool, enum ending ending, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(tool->problem, sizeof tool->problem, format, arguments);
    va_end(arguments);
    return ending;
}

enum ending tool_flush(struct tool *tool, FILE *to, enum ending ending)
{
    if ((fflush(to) == 0 && !ferror(to)) || ending != END_WELL)
        return ending;
    ending = tool_fail(tool, END_OUTPUT, "cannot print the result: %s", strerror(errno));
    tool_print_problem(tool);
    return ending;
}

/* https://no-color.org */
static int has_colours(void)
{
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDERR_FILENO) && !(none && *none) && terminal && strcmp(terminal, "dumb") != 0;
}

void tool_print_problem(const struct tool *tool)
{
    const char *red = has_colours() ? "\033[1;31m" : "", *end = *red ? "\033[0m" : "";
    if (tool->problem[0] && !(tool->json && tool->report == stderr))
        fprintf(stderr, "%s%s:%s %s\n", red, tool->name, end, tool->problem);
}

static void print_line(const struct tool *tool, const char *format, va_list arguments)
{
    if (tool->json && tool->report == stderr)
        return;
    fprintf(stderr, "%s: ", tool->name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void tool_notice(const struct tool *tool, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!tool->quiet)
        print_line(tool, format, arguments);
    va_end(arguments);
}

void tool_warn(const struct tool *tool, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line(tool, format, arguments);
    va_end(arguments);
}

int tool_shows_progress(const struct tool *tool)
{
    return tool->progress || (!tool->quiet && !tool->json && isatty(STDERR_FILENO));
}

void tool_end_progress(const struct tool *tool)
{
    if (tool_shows_progress(tool))
        fputc('\n', stderr);
}

void tool_json_text(FILE *to, const char *name, const char *text)
{
    fprintf(to, "\"%s\": \"", name);
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\')
            fprintf(to, "\\%c", *at);
        else if (*at < 0x20 || *at == 0x7f)
            fprintf(to, "\\u%04x", *at);
        else
            fputc(*at, to);
    }
    fputc('"', to);
}

int tool_parse_time(const char *text, uint32_t *milliseconds)
{
    char *rest;
    double value = strtod(text, &rest);
    if (rest == text)
        return 0;
    if (strcmp(rest, "ms") != 0) {
        if (*rest && strcmp(rest, "s") != 0)
            return 0;
        value *= 1000.0;
    }
    if (!(value >= 0 && value <= 2147483647.0))
        return 0;
    *milliseconds = (uint32_t)(value + 0.5);
    return 1;
}

int tool_parse_number(const char *text, int least, int most, int *number)
{
    char *rest;
    long value = strtol(text, &rest, 10);
    if (rest == text || *rest || value < least || value > most)
        return 0;
    *number = (int)value;
    return 1;
}

int tool_is_rtmp(const char *url)
{
    return strstr(url, "://") == NULL || strncasecmp(url, "rtm", 3) == 0;
}

int64_t tool_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void (*signal_handler)(int number);
static int64_t first_signal;

static void on_signal(int number)
{
    int saved = errno;
    int64_t now = tool_clock();
    if (first_signal == 0) {
        first_signal = now;
        signal_handler(number);
    } else if (now - first_signal > 500) {
        signal(number, SIG_DFL);
        raise(number); /* takes effect when this function returns */
    }
    errno = saved;
}

void tool_catch_signals(void (*handler)(int number))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal; /* no SA_RESTART: blocking calls have to return */
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
#ifdef SIGHUP
    sigaddset(&action.sa_mask, SIGHUP);
#endif
    signal_handler = handler;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
#ifdef SIGHUP
    /* The terminal was closed. nohup ignores it. */
    if (signal(SIGHUP, SIG_IGN) != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
#endif
}

int retry_may(const struct retry *retry, enum ending ending)
{
    int temporary = ending == END_NOT_CONNECTED || ending == END_REFUSED || ending == END_LOST || ending == END_TIMED_OUT;
    return temporary && retry->attempt < retry->most;
}

int retry_wait(struct retry *retry, struct tool *tool, const volatile sig_atomic_t *stop)
{
    int seconds = retry->attempt < 5 ? 1 << retry->attempt : 30;
    int64_t until = tool_clock() + seconds * 1000;
    retry->attempt++;
    tool_notice(tool, "%s; attempt %d of %d in %d s", tool->problem, retry->attempt, retry->most, seconds);
    tool->problem[0] = 0;
    while (!*stop && tool_clock() < until)
        poll(NULL, 0, 100); /* a signal may come just before */
    return !*stop;
}
