#include "amf0.h"

#include <librtmp/amf.h>
#include <string.h>

enum { MOST_DEPTH = 64 };

/* The output is never longer than the input, and so never overtakes it. */
struct pass {
    const char *in, *end;
    char *out;
    int depth;
};

static int value(struct pass *pass);

/* Returns 0 if there are fewer bytes. */
static int copy(struct pass *pass, uint64_t count)
{
    if ((uint64_t)(pass->end - pass->in) < count)
        return 0;
    memmove(pass->out, pass->in, (size_t)count);
    pass->out += count;
    pass->in += count;
    return 1;
}

static int replace(struct pass *pass, uint64_t count, AMFDataType type)
{
    if ((uint64_t)(pass->end - pass->in) < count)
        return 0;
    *pass->out++ = (char)type;
    pass->in += count;
    return 1;
}

static int has(const struct pass *pass, int count) { return pass->end - pass->in >= count; }

/* Name and value alternate, up to an empty name and the end marker. */
static int members(struct pass *pass)
{
    for (;;) {
        if (!has(pass, 3))
            return 0;
        unsigned length = AMF_DecodeInt16(pass->in);
        if (length == 0 && pass->in[2] == AMF_OBJECT_END)
            return copy(pass, 3);
        if (!copy(pass, 2 + length) || !value(pass))
            return 0;
    }
}

static int elements(struct pass *pass, uint32_t count)
{
    while (count-- > 0)
        if (!value(pass))
            return 0;
    return 1;
}

static int composite(struct pass *pass)
{
    const char *in = pass->in;
    switch (in[0]) {
    case AMF_OBJECT: return copy(pass, 1) && members(pass);
    case AMF_ECMA_ARRAY: return copy(pass, 5) && members(pass);
    case AMF_STRICT_ARRAY: return copy(pass, 5) && elements(pass, AMF_DecodeInt32(in + 1));
    case AMF_TYPED_OBJECT:
        return has(pass, 3) && replace(pass, 3 + (uint64_t)AMF_DecodeInt16(in + 1), AMF_OBJECT) && members(pass);
    default: return 0;
    }
}

/* Returns 0 if the rest cannot be parsed. */
static int value(struct pass *pass)
{
    if (!has(pass, 1))
        return 0;
    switch (pass->in[0]) {
    case AMF_NUMBER: return copy(pass, 9);
    case AMF_BOOLEAN: return copy(pass, 2);
    case AMF_STRING: return has(pass, 3) && copy(pass, 3 + (uint64_t)AMF_DecodeInt16(pass->in + 1));
    case AMF_NULL:
    case AMF_UNDEFINED: return copy(pass, 1);
    case AMF_UNSUPPORTED: return replace(pass, 1, AMF_NULL);
    case AMF_REFERENCE: return replace(pass, 3, AMF_NULL);
    case AMF_DATE: return copy(pass, 11);
    case AMF_LONG_STRING:
    case AMF_XML_DOC: return has(pass, 5) && copy(pass, 5 + (uint64_t)AMF_DecodeInt32(pass->in + 1));
    default: break;
    }
    int ok = ++pass->depth <= MOST_DEPTH && composite(pass);
    pass->depth--;
    return ok;
}

uint32_t amf0_simplify(char *body, uint32_t size)
{
    struct pass pass = { body, body + size, body, 0 };
    while (value(&pass))
        ;
    copy(&pass, (uint64_t)(pass.end - pass.in));
    return (uint32_t)(pass.out - body);
}
