/* Loads a plugin as media frameworks do, with its symbols to itself, and calls its `plugin_main` with what follows. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    int (*plugin_main)(int, char **);
    int result;

    if (!plugin) {
        fprintf(stderr, "%s\n", argc > 1 ? dlerror() : "usage: plugin_host FILE ...");
        return 2;
    }
    *(void **)&plugin_main = dlsym(plugin, "plugin_main");
    if (!plugin_main) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    result = plugin_main(argc - 1, argv + 1);
    fflush(stdout);
    return result;
}
