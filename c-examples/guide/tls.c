/* Connects with TLS, an own certificate authority and a client certificate: tls URL CA [CERTIFICATE KEY] */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include <stdio.h>
#include <string.h>

/* Sets an option. The session keeps using the value until RTMP_Close. */
static int set(RTMP *r, const char *name, char *value)
{
    AVal option = { (char *)name, (int)strlen(name) }, text = { value, (int)strlen(value) };
    return RTMP_SetOpt(r, &option, &text);
}

int main(int argc, char **argv)
{
    RTMP *r = RTMP_Alloc();
    int ok;
    if ((argc != 3 && argc != 5) || !r)
        return 2;
    RTMP_LogSetLevel(RTMP_LOGCRIT);
    RTMP_Init(r);
    /* [tls] */
    ok = set(r, "tlsCA", argv[2]);                   /* PEM: the certificates to trust, instead of the system's */
    if (argc == 5)
        ok = ok && set(r, "tlsCert", argv[3])        /* PEM: the certificate that this program shows */
            && set(r, "tlsKey", argv[4]);            /* PEM: its private key */
    ok = ok && RTMP_SetupURL(r, argv[1])             /* rtmps://... */
        && RTMP_Connect(r, NULL) && RTMP_ConnectStream(r, 0);
    if (!ok && RTMP_GetLastError(r) == RTMP_ERR_TLS)
        printf("no secure connection: %s\n", RTMP_GetErrorString(r));
    /* [tls end] */
    else
        puts(ok ? "connected" : RTMP_GetErrorString(r));
    RTMP_Close(r);
    RTMP_Free(r);
    return !ok;
}
