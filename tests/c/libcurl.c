/*
 * Plays a URL with a libcurl, whichever of them it is: they differ in the TLS library that they bring along.
 *
 *   libcurl LIBRARY URL FILE
 */
#include <dlfcn.h>
#include <stdio.h>

/* Numbers of libcurl's interface. */
enum { OPTION_WRITEDATA = 10001, OPTION_URL = 10002, OPTION_TIMEOUT = 13, GLOBAL_ALL = 3 };

int main(int argc, char **argv)
{
	int (*global_init)(long), (*setopt)(void *, int, ...), (*perform)(void *);
	void *(*init)(void), (*cleanup)(void *), (*global_cleanup)(void);
	const char *(*error_text)(int);
	char *(*version)(void);
	void *library = argc == 4 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL, *handle;
	FILE *file = argc == 4 ? fopen(argv[3], "wb") : NULL;
	int result;

	if (!library || !file) {
		printf("%s\n", argc == 4 ? dlerror() : "libcurl LIBRARY URL FILE");
		return 2;
	}
	*(void **)&global_init = dlsym(library, "curl_global_init");
	*(void **)&init = dlsym(library, "curl_easy_init");
	*(void **)&setopt = dlsym(library, "curl_easy_setopt");
	*(void **)&perform = dlsym(library, "curl_easy_perform");
	*(void **)&cleanup = dlsym(library, "curl_easy_cleanup");
	*(void **)&global_cleanup = dlsym(library, "curl_global_cleanup");
	*(void **)&error_text = dlsym(library, "curl_easy_strerror");
	*(void **)&version = dlsym(library, "curl_version");
	if (!global_init || !init || !setopt || !perform || !cleanup || !global_cleanup || !error_text || !version) {
		printf("this is no libcurl\n");
		return 2;
	}
	global_init(GLOBAL_ALL);
	printf("%s\n", version());
	handle = init();
	setopt(handle, OPTION_URL, argv[2]);
	setopt(handle, OPTION_WRITEDATA, file);
	setopt(handle, OPTION_TIMEOUT, 30L);
	result = perform(handle);
	printf("%d: %s\n", result, error_text(result));
	cleanup(handle);
	global_cleanup();
	fclose(file);
	return 0;
}
