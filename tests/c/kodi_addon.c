/*
 * Loads Kodi's add-on for RTMP with all its symbols bound, as Kodi does, and asks it which interfaces it was made for.
 *
 *   kodi_addon ADD-ON
 */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	const char *(*version)(int) = NULL;
	const char *(*oldest)(int) = NULL;
	void *addon = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;

	if (!addon) {
		printf("%s\n", argc > 1 ? dlerror() : "no add-on");
		return 1;
	}
	*(void **)&version = dlsym(addon, "ADDON_GetTypeVersion");
	*(void **)&oldest = dlsym(addon, "ADDON_GetTypeMinVersion");
	if (!dlsym(addon, "ADDON_Create") || !version || !oldest) {
		printf("this is no add-on\n");
		return 1;
	}
	/* 0 is that of every add-on, 105 that of input streams. */
	printf("main %s, input stream %s to %s\n", version(0), oldest(105), version(105));
	return dlclose(addon) != 0;
}
