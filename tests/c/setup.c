/*
 * Shows what the functions that fill an RTMP make of their arguments. Cases come one per line on standard input, with a
 * letter in front, and one line per case goes to standard output:
 *
 *   u<url>                  RTMP_ParseURL
 *   n<text>                 RTMP_ParsePlaypath
 *   s<url and options>      RTMP_SetupURL
 *   o<name=value>TAB...     RTMP_SetOpt, for each pair in turn
 *
 * Then RTMP_Init, the functions that use one field, and RTMP_SetupStream. With the argument "exact" strings that have a
 * length are not NUL-terminated, so that a memory checker sees a read that goes too far.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <librtmp/log.h>
#include <librtmp/rtmp.h>

static int exact;

/* A string in memory of its own, of just its size. */
static AVal copy(const char *text, size_t len)
{
    AVal value;
    size_t size = exact ? len : len + 1;
    value.av_val = malloc(size ? size : 1);
    value.av_len = (int)len;
    memcpy(value.av_val, text, len);
    if (!exact)
        value.av_val[len] = '\0';
    return value;
}

static void show_text(const char *text, int len)
{
    int i;
    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c > '~')
            printf("<%02x>", c);
        else
            putchar(c);
    }
}

/* A string, and whether it lies in the caller's memory. */
static void show(const char *name, const AVal *value, const char *start, size_t len)
{
    const char *where = "heap";
    if (!value->av_val && !value->av_len)
        return;
    if (value->av_val >= start && value->av_val <= start + len)
        where = "caller";
    printf(" %s='", name);
    show_text(value->av_val, value->av_len);
    printf("'(%s)", where);
}

static void show_number(const char *name, int value, int usual)
{
    if (value != usual)
        printf(" %s=%d", name, value);
}

static void show_object(const AMFObject *object)
{
    int i;
    for (i = 0; i < object->o_num; i++) {
        const AMFObjectProperty *property = &object->o_props[i];
        printf("%s", i ? " " : "");
        if (property->p_name.av_val) {
            show_text(property->p_name.av_val, property->p_name.av_len);
            printf(":");
        }
        switch (property->p_type) {
        case AMF_NUMBER: printf("%g", property->p_vu.p_number); break;
        case AMF_BOOLEAN: printf("bool %g", property->p_vu.p_number); break;
        case AMF_NULL: printf("null"); break;
        case AMF_STRING:
            printf("'");
            show_text(property->p_vu.p_aval.av_val, property->p_vu.p_aval.av_len);
            printf("'");
            break;
        case AMF_OBJECT:
            printf("{");
            show_object(&property->p_vu.p_object);
            printf("}");
            break;
        default: printf("type %d", (int)property->p_type);
        }
    }
}

static void show_session(const RTMP *r, const char *start, size_t len)
{
    const RTMP_LNK *link = &r->Link;
    show_number("protocol", link->protocol, 0);
    show("hostname", &link->hostname, start, len);
    show_number("port", link->port, 0);
    show("app", &link->app, start, len);
    show("playpath0", &link->playpath0, start, len);
    if (link->playpath.av_val && link->playpath.av_val == link->playpath0.av_val)
        printf(" playpath=playpath0");
    else
        show("playpath", &link->playpath, start, len);
    show("tcUrl", &link->tcUrl, start, len);
    show("sockshost", &link->sockshost, start, len);
    show_number("socksport", link->socksport, 0);
    show("swfUrl", &link->swfUrl, start, len);
    show("pageUrl", &link->pageUrl, start, len);
    show("auth", &link->auth, start, len);
    show("flashVer", &link->flashVer, start, len);
    show("subscribepath", &link->subscribepath, start, len);
    show("usherToken", &link->usherToken, start, len);
    show("token", &link->token, start, len);
    show("pubUser", &link->pubUser, start, len);
    show("pubPasswd", &link->pubPasswd, start, len);
    show_number("seekTime", link->seekTime, 0);
    show_number("stopTime", link->stopTime, 0);
    show_number("lFlags", link->lFlags, 0);
    show_number("swfAge", link->swfAge, 30);
    show_number("timeout", link->timeout, 30);
    show_number("buffer", r->m_nBufferMS, 30000);
    show_number("SWFSize", (int)link->SWFSize, 0);
    show_number("edepth", link->edepth, 0);
    if (link->extras.o_num) {
        printf(" extras=");
        show_object(&link->extras);
    }
    puts("");
}

/* Frees what a session owns: RTMP_Close does most of it. */
static void end(RTMP *r)
{
    free(r->Link.sockshost.av_val);
    AMF_Reset(&r->Link.extras);
    RTMP_Close(r);
    RTMP_Free(r);
}

static RTMP *begin(void)
{
    RTMP *r = RTMP_Alloc();
    RTMP_Init(r);
    return r;
}

static void parse_url(const char *text)
{
    size_t len = strlen(text);
    char *url = malloc(len + 1);
    char mark = 0;
    AVal host, playpath, app;
    int protocol, result;
    unsigned int port;

    memcpy(url, text, len + 1);
    host.av_val = &mark;
    host.av_len = 0;
    result = RTMP_ParseURL(url, &protocol, &host, &port, &playpath, &app);
    printf("%d protocol=%d port=%u", result, protocol, port);
    if (host.av_val != &mark)
        show("host", &host, url, len);
    show("app", &app, url, len);
    show("playpath", &playpath, url, len);
    puts("");
    free(playpath.av_val);
    free(url);
}

static void parse_name(const char *text)
{
    AVal in = copy(text, strlen(text)), out;
    RTMP_ParsePlaypath(&in, &out);
    printf("%d", out.av_val && !out.av_val[out.av_len]);
    show("name", &out, in.av_val, (size_t)in.av_len);
    puts("");
    free(out.av_val);
    free(in.av_val);
}

static void setup_url(const char *text)
{
    size_t len = strlen(text);
    char *url = malloc(len + 1);
    RTMP *r = begin();

    memcpy(url, text, len + 1);
    printf("%d", RTMP_SetupURL(r, url));
    show_session(r, url, len);
    end(r);
    free(url);
}

static void set_options(char *pairs)
{
    AVal kept[64];
    int count = 0;
    RTMP *r = begin();
    char *pair;

    for (pair = strtok(pairs, "\t"); pair && count < 64; pair = strtok(NULL, "\t")) {
        char *equals = strchr(pair, '=');
        AVal name = copy(pair, (size_t)(equals - pair));
        kept[count] = copy(equals + 1, strlen(equals + 1));
        printf("%d", RTMP_SetOpt(r, &name, &kept[count++]));
        free(name.av_val);
    }
    show_session(r, NULL, 0);
    RTMP_Close(r);
    AMF_Reset(&r->Link.extras);
    RTMP_Free(r);
    while (count)
        free(kept[--count].av_val);
}

static void show_defaults(void)
{
    RTMP *r = RTMP_Alloc();
    const unsigned char *bytes = (const unsigned char *)r;
    size_t i;

    memset(r, 0xa5, sizeof *r);
    RTMP_Init(r);
    printf("defaults");
    for (i = 0; i < sizeof *r; i++)
        if (bytes[i])
            printf(" %u:%02x", (unsigned)i, bytes[i]);
    puts("");

    printf("connected %d socket %d timed out %d duration %g", RTMP_IsConnected(r), RTMP_Socket(r), RTMP_IsTimedout(r),
           RTMP_GetDuration(r));
    r->m_sb.sb_socket = 5;
    r->m_sb.sb_timedout = 1;
    r->m_fDuration = 2.5;
    RTMP_SetBufferMS(r, 1234);
    RTMP_EnableWrite(r);
    printf(", then %d %d %d %g, buffer %d protocol %d\n", RTMP_IsConnected(r), RTMP_Socket(r), RTMP_IsTimedout(r),
           RTMP_GetDuration(r), r->m_nBufferMS, r->Link.protocol);
    r->m_sb.sb_socket = -1;
    end(r);
}

static void setup_stream(void)
{
    RTMP *r = begin();
    AVal host = copy("host", 4), socks = copy("proxy:7", 7), playpath = copy("name", 4), text = copy("text", 4);
    AVal hash = copy("0123456789abcdef0123456789ABCDEF", 32), none = { NULL, 0 };
    static char literal[] = "rtmp://host:1/app/stream";

    RTMP_SetupStream(r, RTMP_PROTOCOL_RTMPTE, &host, 65536 + 70, &socks, &playpath, &text, &text, &text, &text, &text,
                     &hash, 5, &text, &text, &text, 1500, 2500, 1, 44);
    printf("full");
    show_session(r, NULL, 0);
    printf("hash %d\n", memcmp(r->Link.SWFHash, hash.av_val, 32));
    free(r->Link.sockshost.av_val);

    RTMP_SetupStream(r, RTMP_PROTOCOL_RTMPS | RTMP_FEATURE_WRITE, &host, 0, &none, &playpath, &none, NULL, &none, NULL,
                     &none, NULL, 9, &none, NULL, &none, 0, 0, 0, -1);
    printf("sparse");
    show_session(r, NULL, 0);
    end(r);

    r = begin();
    RTMP_SetupStream(r, RTMP_PROTOCOL_RTMPT, &host, 0, &none, &playpath, NULL, NULL, NULL, NULL, NULL, &hash, 0, NULL,
                     NULL, NULL, 0, 0, 0, 10);
    printf("least");
    show_session(r, NULL, 0);
    end(r);

    r = begin();
    printf("literal %d", RTMP_SetupURL(r, literal));
    show_session(r, literal, sizeof literal);
    end(r);

    free(host.av_val);
    free(socks.av_val);
    free(playpath.av_val);
    free(text.av_val);
    free(hash.av_val);
}

int main(int argc, char **argv)
{
    static char line[65536];

    exact = argc > 1 && !strcmp(argv[1], "exact");
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        switch (line[0]) {
        case 'u': parse_url(line + 1); break;
        case 'n': parse_name(line + 1); break;
        case 's': setup_url(line + 1); break;
        case 'o': set_options(line + 1); break;
        default: return 1;
        }
    }
    show_defaults();
    setup_stream();
    return 0;
}
