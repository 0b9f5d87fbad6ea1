/* Examples of the manual pages: AMF values. The tests compile and run this file. */
#include <librtmp/amf.h>
#include <librtmp/rtmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void check(int ok, const char *what)
{
    if (!ok) {
        printf("failed: %s\n", what);
        exit(1);
    }
}

/* Example: write a command with an object in it */
static int write_command(char *buffer, size_t size)
{
    static const AVal connect = AVC("connect"), app = AVC("app"), live = AVC("live");
    static const AVal fpad = AVC("fpad"), codecs = AVC("audioCodecs");
    char *end = buffer + size, *at = buffer;

    at = AMF_EncodeString(at, end, &connect);
    at = at ? AMF_EncodeNumber(at, end, 1.0) : NULL;               /* transaction id */
    if (!at || end - at < 4)
        return -1;
    *at++ = AMF_OBJECT;
    at = AMF_EncodeNamedString(at, end, &app, &live);
    at = at ? AMF_EncodeNamedBoolean(at, end, &fpad, 0) : NULL;
    at = at ? AMF_EncodeNamedNumber(at, end, &codecs, 1024.0) : NULL;
    at = at ? AMF_EncodeInt24(at, end, AMF_OBJECT_END) : NULL;     /* an empty name and the marker */
    at = at ? AMF_EncodeBoolean(at, end, 1) : NULL;
    return at ? (int)(at - buffer) : -1;
}

/* Example: read the values of a command */
static void read_command(const char *body, int size)
{
    AMFObject command, details;
    AVal name, app;
    int members = 0;

    if (AMF_Decode(&command, body, size, FALSE) < 0)               /* values without names */
        return;
    AMFProp_GetString(AMF_GetProp(&command, NULL, 0), &name);
    double id = AMFProp_GetNumber(AMF_GetProp(&command, NULL, 1));
    AMFObjectProperty *third = AMF_GetProp(&command, NULL, 2);
    if (AMFProp_IsValid(third) && AMFProp_GetType(third) == AMF_OBJECT) {
        static const AVal key = AVC("app");
        AMFProp_GetObject(third, &details);                        /* still belongs to the command */
        members = AMF_CountProp(&details);
        AMFProp_GetName(AMF_GetProp(&details, NULL, 0), &name);
        AMFProp_GetString(AMF_GetProp(&details, &key, -1), &app);
        printf("%d members, %.*s is %.*s\n", members, name.av_len, name.av_val, app.av_len, app.av_val);
    }
    int flag = AMFProp_GetBoolean(AMF_GetProp(&command, NULL, 3));
    printf("transaction %.0f, flag %d\n", id, flag);
    AMF_Reset(&command);
}

/* Example: build an object and write it in three ways */
static char *write_object(char *buffer, char *end)
{
    AVal width = AVC("width"), stereo = AVC("stereo"), encoder = AVC("encoder"), inner = AVC("inner");
    AVal text = AVC("mine");
    AMFObject object = { 0, NULL }, nested = { 0, NULL };
    AMFObjectProperty property = { 0 };

    AMFProp_SetName(&property, &width);
    AMFProp_SetNumber(&property, 1920.0);
    AMF_AddProp(&object, &property);
    AMFProp_SetName(&property, &stereo);
    AMFProp_SetBoolean(&property, 1);
    AMF_AddProp(&object, &property);
    AMFProp_SetName(&property, &encoder);
    AMFProp_SetString(&property, &text);
    AMF_AddProp(&nested, &property);
    AMFProp_SetName(&property, &inner);
    AMFProp_SetObject(&property, &nested);
    AMF_AddProp(&object, &property);                               /* now owns the nested object */

    char *at = AMF_Encode(&object, buffer, end);
    at = at ? AMF_EncodeEcmaArray(&object, at, end) : NULL;
    at = at ? AMF_EncodeArray(&object, at, end) : NULL;
    at = at ? AMFProp_Encode(AMF_GetProp(&object, &width, -1), at, end) : NULL;
    AMF_Reset(&object);
    return at;
}

/* Example: numbers of 16, 24 and 32 bits, most significant byte first */
static int whole_numbers(void)
{
    char buffer[9], *end = buffer + sizeof buffer;
    char *at = AMF_EncodeInt16(buffer, end, 0x1234);
    at = at ? AMF_EncodeInt24(at, end, 0x123456) : NULL;
    at = at ? AMF_EncodeInt32(at, end, 0x12345678) : NULL;
    return at == end && AMF_DecodeInt16(buffer) == 0x1234 && AMF_DecodeInt24(buffer + 2) == 0x123456
        && AMF_DecodeInt32(buffer + 5) == 0x12345678;
}

/* Example: read single values */
static int single_values(void)
{
    static const char body[] = "\0\4name\0\0\0\4text\1\x40\x59\0\0\0\0\0\0";
    AVal name, text;
    AMFObjectProperty value;
    AMF_DecodeString(body, &name);                                 /* 16-bit length in front */
    AMF_DecodeLongString(body + 6, &text);                         /* 32-bit length in front */
    int flag = AMF_DecodeBoolean(body + 14);
    double number = AMF_DecodeNumber(body + 15);
    /* A whole value with its type marker, then several of them. */
    static const char values[] = "\1\1" "\5" "\2\0\2hi";
    AMFObject list;
    int first = AMFProp_Decode(&value, values, sizeof values - 1, FALSE);
    AMFProp_Reset(&value);
    int all = AMF_DecodeArray(&list, values, sizeof values - 1, 3, FALSE);
    AMF_Reset(&list);
    return name.av_len == 4 && text.av_len == 4 && flag == 1 && number == 100.0 && first == 2
        && all == (int)sizeof values - 1;
}

/* Example: AMF3 values */
static int amf3_values(void)
{
    static const char integer[] = "\x81\x00", string[] = "\x05hi";
    static const char value[] = "\x04\x07", object[] = "\x0a\x0b\x01\x03x\x04\x05\x01";
    int32_t number;
    AVal text, *member, name = AVC("x");
    AMFObjectProperty property;
    AMFObject members;
    AMF3ClassDef definition = { 0 };
    int read = AMF3ReadInteger(integer, &number) + AMF3ReadString(string, &text);
    read += AMF3Prop_Decode(&property, value, 2, FALSE);
    read += AMF3_Decode(&members, object, sizeof object - 1, TRUE);
    AMF_Reset(&members);
    AMF3CD_AddProp(&definition, &name);
    member = AMF3CD_GetProp(&definition, 0);
    int same = AVMATCH(member, &name);
    free(definition.cd_props);
    return same && number == 128 && text.av_len == 2 && read > 8;
}

/* Example: find a property anywhere in an object, and log the whole object */
static int find(const char *body, int size)
{
    static const AVal codecs = AVC("audioCodecs"), prefix = AVC("fp");
    AMFObject command;
    AMFObjectProperty found, longer;
    if (AMF_Decode(&command, body, size, FALSE) < 0)
        return 0;
    int exact = RTMP_FindFirstMatchingProperty(&command, &codecs, &found);
    int other = RTMP_FindPrefixProperty(&command, &prefix, &longer);  /* finds "fpad" */
    AMF_Dump(&command);                                            /* at level DEBUG */
    if (exact)
        AMFProp_Dump(&found);
    AMF_Reset(&command);
    return exact && other && AMFProp_GetNumber(&found) == 1024.0;
}

int main(void)
{
    char buffer[512];
    int size = write_command(buffer, sizeof buffer);
    check(size > 0, "write_command");
    read_command(buffer, size);
    check(find(buffer, size), "find");
    check(write_object(buffer, buffer + sizeof buffer) != NULL, "write_object");
    check(whole_numbers(), "whole_numbers");
    check(single_values(), "single_values");
    check(amf3_values(), "amf3_values");
    printf("ok\n");
    return 0;
}
