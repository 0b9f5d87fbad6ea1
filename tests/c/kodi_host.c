/*
 * Does what Kodi does with its add-on for RTMP: loads it, makes an input stream, opens a URL, reads it to its end and
 * writes what it got into a file. No screen, no settings.
 *
 *   kodi_host ADD-ON URL FILE [-w BYTES MS] [-s BYTES MS] [NAME=VALUE ...]
 *
 * -w waits after so many bytes, in which Kodi would not read because its buffers are full; -s seeks to a time. The rest
 * are properties of the list item. Prints what the add-on answers.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <kodi/c-api/addon-instance/inputstream.h>

/* The number of input streams among the kinds of add-ons. */
#define INPUT_STREAM 105

static void write_log(const KODI_ADDON_BACKEND_HDL kodi, const int level, const char *message)
{
	(void)kodi;
	fprintf(stderr, "log %d: %s\n", level, message);
}

static void free_string(const KODI_ADDON_BACKEND_HDL kodi, char *text)
{
	(void)kodi;
	free(text);
}

/* "BYTES MS", and whether it is done. */
struct moment
{
	long bytes;
	int ms;
};

static int is_due(struct moment *moment, long got)
{
	if (!moment->ms || got < moment->bytes)
		return 0;
	moment->bytes = -1;
	return 1;
}

static void pause_for(int ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
	nanosleep(&time, NULL);
}

static int play(struct AddonInstance_InputStream *stream, struct INPUTSTREAM_PROPERTY *item, FILE *file, struct moment wait,
		struct moment seek)
{
	KodiToAddonFuncTable_InputStream *addon = stream->toAddon;
	struct INPUTSTREAM_CAPABILITIES can = {0};
	static uint8_t buffer[32768];
	int n, opened;
	long got = 0;

	addon->get_capabilities(stream, &can);
	printf("can %#x\n", can.m_mask);
	opened = addon->open(stream, item);
	printf("open %d\n", opened);
	if (!opened)
		return 0;
	printf("live %d, length %lld, position %lld, time %d of %d, block %d\n", addon->is_real_time_stream(stream),
	       (long long)addon->length_stream(stream), (long long)addon->position_stream(stream), addon->get_time(stream),
	       addon->get_total_time(stream), addon->block_size_stream(stream));
	printf("seek in bytes %lld\n", (long long)addon->seek_stream(stream, 0, SEEK_SET));
	while ((n = addon->read_stream(stream, buffer, sizeof(buffer))) > 0) {
		fwrite(buffer, 1, (size_t)n, file);
		got += n;
		if (is_due(&wait, got)) {
			pause_for(wait.ms);
			wait.ms = 0;
		}
		if (is_due(&seek, got)) {
			printf("seek %d\n", addon->pos_time(stream, seek.ms));
			seek.ms = 0;
		}
	}
	printf("end %d\n", n);
	addon->close(stream);
	return 1;
}

int main(int argc, char **argv)
{
	enum ADDON_STATUS (*create)(AddonGlobalInterface *) = NULL;
	const char *(*version)(int) = NULL, *(*oldest)(int) = NULL;
	AddonToKodiFuncTable_Addon kodi = {.free_string = free_string, .addon_log_msg = write_log};
	KodiToAddonFuncTable_Addon addon = {0};
	AddonGlobalInterface shared = {.toKodi = &kodi, .toAddon = &addon};
	AddonProps_InputStream props = {0};
	AddonToKodiFuncTable_InputStream callbacks = {0};
	KodiToAddonFuncTable_InputStream functions = {0};
	AddonInstance_InputStream stream = {&props, &callbacks, &functions};
	KODI_ADDON_INSTANCE_INFO info = {.type = INPUT_STREAM, .id = "stream", .version = "", .first_instance = true};
	KODI_ADDON_INSTANCE_FUNC changes = {0};
	KODI_ADDON_INSTANCE_STRUCT instance = {.info = &info, .functions = &changes, .inputstream = &stream};
	struct INPUTSTREAM_PROPERTY item = {.m_mimeType = "", .m_libFolder = "/", .m_profileFolder = "/"};
	struct moment wait = {0}, seek = {0};
	void *library;
	FILE *file;
	int i, opened;

	if (argc < 4 || !(library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL))) {
		printf("%s\n", argc < 4 ? "kodi_host ADD-ON URL FILE" : dlerror());
		return 2;
	}
	item.m_strURL = argv[2];
	for (i = 4; i < argc; i++) {
		struct moment *moment = !strcmp(argv[i], "-w") ? &wait : !strcmp(argv[i], "-s") ? &seek : NULL;
		char *equals = strchr(argv[i], '=');
		if (moment && i + 2 < argc) {
			moment->bytes = atol(argv[++i]);
			moment->ms = atoi(argv[++i]);
		} else if (equals && item.m_nCountInfoValues < STREAM_MAX_PROPERTY_COUNT) {
			*equals = 0;
			item.m_ListItemProperties[item.m_nCountInfoValues].m_strKey = argv[i];
			item.m_ListItemProperties[item.m_nCountInfoValues++].m_strValue = equals + 1;
		}
	}
	if (!(file = fopen(argv[3], "wb"))) {
		perror(argv[3]);
		return 2;
	}
	*(void **)&version = dlsym(library, "ADDON_GetTypeVersion");
	*(void **)&oldest = dlsym(library, "ADDON_GetTypeMinVersion");
	if (!version || !oldest) {
		printf("this is no add-on\n");
		return 2;
	}
	/* 0 is the kind of every add-on. */
	printf("main %s, input stream %s to %s\n", version(0), oldest(INPUT_STREAM), version(INPUT_STREAM));
	*(void **)&create = dlsym(library, "ADDON_Create");
	if (!create || create(&shared) != ADDON_STATUS_OK) {
		printf("the add-on cannot be created\n");
		return 2;
	}
	if (addon.create_instance(shared.addonBase, &instance) != ADDON_STATUS_OK) {
		printf("it makes no input stream\n");
		return 2;
	}
	opened = play(&stream, &item, file, wait, seek);
	addon.destroy_instance(shared.addonBase, &instance);
	addon.destroy(shared.addonBase);
	fclose(file);
	dlclose(library);
	return !opened;
}
