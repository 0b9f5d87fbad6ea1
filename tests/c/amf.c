/*
 * Every AMF function. Each line of the input is a function, its two arguments (0 where it has none) and bytes in
 * hexadecimal digits, which it decodes; what comes out is shown through the access functions, dumped to the log, and
 * encoded again. Then values are built, changed and encoded into rooms of every size.
 */
#include <librtmp/log.h>
#include <librtmp/rtmp.h>
#include "hex.h"

/* Exported by librtmp 2.4 too, but in none of its headers. */
int AMF3ReadInteger(const char *data, int32_t *valp);
int AMF3ReadString(const char *data, AVal *str);
int RTMP_FindPrefixProperty(AMFObject *obj, const AVal *name, AMFObjectProperty *p);

static const char *input;

/* A string, and where in the input it lies. */
static void show(const char *name, const AVal *value)
{
	printf(" %s=", name);
	if (!value->av_val) {
		printf("NULL(%d)", value->av_len);
		return;
	}
	if (input && value->av_val >= input && value->av_val < input + 100000)
		printf("@%d:", (int)(value->av_val - input));
	print_hex(value->av_val, (size_t)value->av_len);
}

static void show_object(AMFObject *object);

static void show_property(AMFObjectProperty *property)
{
	AVal name, text;
	AMFObject object;
	AMFProp_GetName(property, &name);
	AMFProp_GetString(property, &text);
	AMFProp_GetObject(property, &object);
	printf(" [type %d valid %d", (int)AMFProp_GetType(property), AMFProp_IsValid(property));
	show("name", &name);
	switch (property->p_type) {
	case AMF_NUMBER:
	case AMF_BOOLEAN:
		printf(" number %.17g boolean %d", AMFProp_GetNumber(property), AMFProp_GetBoolean(property));
		break;
	case AMF_DATE:
		printf(" number %.17g zone %d", AMFProp_GetNumber(property), property->p_UTCoffset);
		break;
	case AMF_STRING: show("text", &text); break;
	case AMF_XML_DOC: show("xml", &property->p_vu.p_aval); break;
	case AMF_OBJECT:
		printf(" members %d", AMF_CountProp(&object));
		show_object(&object);
		break;
	case AMF_ECMA_ARRAY:
	case AMF_STRICT_ARRAY:
		printf(" hidden %d", AMF_CountProp(&object));
		show_object(&property->p_vu.p_object);
		break;
	default: break;
	}
	printf("]");
}

static void show_object(AMFObject *object)
{
	int i;
	for (i = 0; i < AMF_CountProp(object); i++)
		show_property(AMF_GetProp(object, NULL, i));
}

/* Encodes into all rooms from none to more than is needed; shows the first result of each kind. */
static void encode(const char *name, AMFObject *object, char *(*encoder)(AMFObject *, char *, char *))
{
	static char memory[1 << 20];
	int room, last = -2;
	for (room = 0; room < 300; room++) {
		char *end = encoder(object, memory, memory + room);
		int n = end ? (int)(end - memory) : -1;
		if (n != last) {
			printf("  %s, %d bytes of room: %d ", name, room, n);
			print_hex(memory, n > 0 ? (size_t)n : 0);
			printf("\n");
		}
		last = n;
	}
}

static char *encode_first(AMFObject *object, char *out, char *end)
{
	return AMFProp_Encode(AMF_GetProp(object, NULL, 0), out, end);
}

static void decode(const char *function, int a, int b, const char *data, int n)
{
	AMFObject object = {0, NULL};
	AMFObjectProperty property = {{NULL, 0}, AMF_INVALID, {0}, 0};
	AVal text = {NULL, 0};
	int32_t number = 0;
	int ret = 0, is_property = 0;
#define IS(name) !strcmp(function, #name)
	if (IS(AMF_DecodeInt16)) ret = (int)AMF_DecodeInt16(data);
	else if (IS(AMF_DecodeInt24)) ret = (int)AMF_DecodeInt24(data);
	else if (IS(AMF_DecodeInt32)) ret = (int)AMF_DecodeInt32(data);
	else if (IS(AMF_DecodeBoolean)) ret = AMF_DecodeBoolean(data);
	else if (IS(AMF_DecodeNumber)) printf(" %.17g", AMF_DecodeNumber(data));
	else if (IS(AMF_DecodeString)) AMF_DecodeString(data, &text);
	else if (IS(AMF_DecodeLongString)) AMF_DecodeLongString(data, &text);
	else if (IS(AMF3ReadInteger)) ret = AMF3ReadInteger(data, &number);
	else if (IS(AMF3ReadString)) ret = AMF3ReadString(data, &text);
	else if (IS(AMF_Decode)) ret = AMF_Decode(&object, data, n, a);
	else if (IS(AMF_DecodeArray)) ret = AMF_DecodeArray(&object, data, n, a, b);
	else if (IS(AMF3_Decode)) ret = AMF3_Decode(&object, data, n, a);
	else if (IS(AMFProp_Decode)) ret = AMFProp_Decode(&property, data, n, a), is_property = 1;
	else if (IS(AMF3Prop_Decode)) ret = AMF3Prop_Decode(&property, data, n, a), is_property = 1;
	else printf(" unknown");
	printf(" -> %d number %d", ret, (int)number);
	show("text", &text);
	if (is_property)
		show_property(&property);
	show_object(&object);
	printf("\n");
	if (n < 250) {
		/* What is said about bad input at debug levels is worded differently. */
		RTMP_LogSetLevel(RTMP_LOGALL);
		AMF_Dump(&object);
		if (is_property)
			AMFProp_Dump(&property);
		encode("again", &object, AMF_Encode);
	}
	AMFProp_Reset(&property);
	AMF_Reset(&object);
	AMF_Reset(&object);
	printf("  reset: %d properties, type %d\n", AMF_CountProp(&object), (int)property.p_type);
}

static const AVal names[] = {AVC("one"), AVC("two"), AVC("three"), AVC(""), AVC("prefix"), AVC("pre"), AVC("nothing")};

/* An object of every type that can be built, with an object of the same in it. */
static AMFObject build(int depth)
{
	AMFObject object = {0, NULL};
	AMFObjectProperty property = {{NULL, 0}, AMF_NUMBER, {0}, 0};
	int type;
	for (type = AMF_NUMBER; type <= AMF_AVMPLUS; type++) {
		AVal name = names[type % 5];
		memset(&property, 0, sizeof(property));
		property.p_type = type;
		AMFProp_SetName(&property, &name);
		if (type == AMF_OBJECT || type == AMF_ECMA_ARRAY || type == AMF_STRICT_ARRAY) {
			if (depth)
				property.p_vu.p_object = build(depth - 1);
		} else if (type == AMF_STRING) {
			property.p_vu.p_aval = names[4];
		} else if (type <= AMF_BOOLEAN) {
			property.p_vu.p_number = type + 0.5;
		} else if (type > AMF_ECMA_ARRAY && type != AMF_NULL) {
			continue; /* cannot be encoded, which ends an object early */
		}
		AMF_AddProp(&object, &property);
	}
	return object;
}

static void find(AMFObject *object)
{
	unsigned i;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		AMFObjectProperty found = {{NULL, 0}, AMF_INVALID, {0}, 0};
		printf("%s:", names[i].av_val);
		show_property(AMF_GetProp(object, &names[i], -1));
		printf(" first %d", RTMP_FindFirstMatchingProperty(object, &names[i], &found));
		printf(" of type %d", (int)found.p_type);
		found.p_type = AMF_INVALID;
		printf(" prefix %d", RTMP_FindPrefixProperty(object, &names[i], &found));
		printf(" of type %d\n", (int)found.p_type);
	}
	printf("out of range: %d\n", (int)AMFProp_GetType(AMF_GetProp(object, NULL, 1000)));
}

static void plain_encoders(void)
{
	static char memory[200], *ends[10];
	int room;
	unsigned i;
	for (room = 0; room < 24; room++) {
		char *end = memory + room;
		memset(memory, 0xee, sizeof(memory));
		ends[0] = AMF_EncodeInt16(memory, end, 0x1234);
		ends[1] = AMF_EncodeInt24(memory + 20, memory + 20 + room, 0x123456);
		ends[2] = AMF_EncodeInt32(memory + 40, memory + 40 + room, 0x12345678);
		ends[3] = AMF_EncodeNumber(memory + 60, memory + 60 + room, -2.5);
		ends[4] = AMF_EncodeBoolean(memory + 80, memory + 80 + room, 7);
		ends[5] = AMF_EncodeString(memory + 100, memory + 100 + room, &names[2]);
		ends[6] = AMF_EncodeNamedString(memory + 120, memory + 120 + room, &names[0], &names[1]);
		ends[7] = AMF_EncodeNamedNumber(memory + 140, memory + 140 + room, &names[0], 1e300);
		ends[8] = AMF_EncodeNamedBoolean(memory + 170, memory + 170 + room, &names[0], 0);
		printf("room %d:", room);
		for (i = 0; i < 9; i++)
			printf(" %d", ends[i] ? (int)(ends[i] - memory) : -1);
		printf(" ");
		print_hex(memory, sizeof(memory));
		printf("\n");
	}
}

static void class_definitions(void)
{
	AMF3ClassDef class = {{NULL, 0}, 0, 0, 0, NULL};
	int i;
	for (i = 0; i < 40; i++) {
		AVal name = names[i % 5];
		AMF3CD_AddProp(&class, &name);
	}
	for (i = 0; i < 42; i++)
		show("member", AMF3CD_GetProp(&class, i));
	printf(" of %d\n", class.cd_num);
	free(class.cd_props);
}

int main(void)
{
	char *line;
	AMFObject object;

	RTMP_LogSetOutput(stdout);
	while ((line = read_line())) {
		char function[40];
		int a, b, n, at = 0;
		if (sscanf(line, "%39s %d %d %n", function, &a, &b, &at) < 3)
			return 2;
		char *bytes = parse_hex(line + at, &n);
		printf("%s %d %d %.60s", function, a, b, line + at);
		input = bytes;
		RTMP_LogSetLevel(RTMP_LOGERROR);
		decode(function, a, b, bytes, n);
		free(bytes);
		free(line);
	}
	input = NULL;
	RTMP_LogSetLevel(RTMP_LOGALL);
	object = build(2);
	show_object(&object);
	printf("\n");
	AMF_Dump(&object);
	encode("object", &object, AMF_Encode);
	encode("array", &object, AMF_EncodeArray);
	encode("ECMA array", &object, AMF_EncodeEcmaArray);
	encode("first member", &object, encode_first);
	find(&object);
	AMF_Reset(&object);
	plain_encoders();
	class_definitions();
	return 0;
}
