/* The exported variables, used as programs use them: by name, which gives this program copies of its own. */

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

typedef struct AVal {
    char *av_val;
    int av_len;
} AVal;

extern unsigned RTMP_debuglevel;
extern int RTMP_ctrlC;
extern void *RTMP_TLS_ctx;
extern const AVal RTMP_DefaultFlashVer;
extern const char RTMPProtocolStrings[9][7], RTMPProtocolStringsLower[9][7];
void RTMP_TLS_Init(void);
void RTMP_UserInterrupt(void);
void RTMP_Log(int level, const char *format, ...);
void RTMP_LogSetOutput(FILE *file);
void RTMP_LogSetLevel(unsigned lvl);
unsigned RTMP_LogGetLevel(void);
uint32_t RTMP_GetTime(void);
int RTMP_LibVersion(void);

int main(void)
{
    uint32_t start = RTMP_GetTime();
    int n;

    alarm(30);
    RTMP_LogSetOutput(stdout);
    printf("%u %d %d\n", RTMP_debuglevel, RTMP_ctrlC, RTMP_TLS_ctx == NULL);
    RTMP_Log(4, "dropped");
    RTMP_debuglevel = 4;
    RTMP_Log(4, "the library sees %u", RTMP_LogGetLevel());
    RTMP_LogSetLevel(2);
    printf("the program sees %u\n", RTMP_debuglevel);
    RTMP_UserInterrupt();
    printf("interrupt %d\n", RTMP_ctrlC);
    RTMP_TLS_Init();
    printf("TLS %d\n", RTMP_TLS_ctx != NULL);
    printf("%s %d\n", RTMP_DefaultFlashVer.av_val, RTMP_DefaultFlashVer.av_len);
    for (n = 0; n < 9; n++)
        printf("[%s] [%s]\n", RTMPProtocolStrings[n], RTMPProtocolStringsLower[n]);
    printf("%x %d\n", (unsigned)RTMP_LibVersion(), RTMP_GetTime() - start < 30000);
    return 0;
}
