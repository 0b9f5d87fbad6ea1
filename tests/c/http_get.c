/*
 * Fetches the URL of the first argument, with the second, if there is one, as the date of the copy at hand, and prints
 * everything that HTTP_get tells. How the body is cut into blocks is up to the network and not printed.
 */
#include <librtmp/http.h>
#include <stdio.h>
#include <string.h>

static struct HTTP_ctx http;
static char body[1 << 20];
static size_t length;
static int first_status = -2;
static char first_date[64];
static int wrong_arguments;
static int wrong_size;

static size_t keep(void *ptr, size_t size, size_t nmemb, void *stream)
{
    if (first_status == -2) {
        first_status = http.status;
        strcpy(first_date, http.date);
    }
    if (size != 1 || stream != body)
        wrong_arguments++;
    if (nmemb > sizeof(body) - length)
        nmemb = sizeof(body) - length;
    memcpy(body + length, ptr, nmemb);
    if ((size_t)http.size != 100 + length)
        wrong_size++;
    length += nmemb;
    /* What a callback returns is ignored. */
    return 0;
}

int main(int argc, char **argv)
{
    char date[64] = "";
    HTTPResult result;
    size_t i;

    if (argc < 2)
        return 2;
    if (argc > 2)
        snprintf(date, sizeof(date), "%s", argv[2]);
    http.date = date;
    http.size = 100;
    http.status = 7;
    http.data = body;
    result = HTTP_get(&http, argv[1], keep);
    printf("result %d, status %d, size %d, date \"%s\"\n", (int)result, http.status, http.size, date);
    if (first_status != -2)
        printf("in the callback: status %d, date \"%s\", wrong arguments %d, wrong size %d\n", first_status,
               first_date, wrong_arguments, wrong_size);
    printf("body %lu:", (unsigned long)length);
    for (i = 0; i < length && i < 400; i++)
        printf(body[i] >= ' ' && body[i] <= '~' ? "%c" : "\\%02x", (unsigned char)body[i]);
    printf("\n");
    return 0;
}
