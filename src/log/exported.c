/* RTMP_Log, RTMP_LogPrintf and RTMP_LogStatus of a shared library in ELF, where Rust cannot define them (see build.rs).
 *
 * rustc gives the linker a version script that makes every symbol local that Rust code did not define. GNU ld does not apply it
 * to a name that ends in @@, an ELF symbol whose default version is empty, and the dynamic symbol has the name before that.
 * Cargo links this file with the shared library, and with the unit tests. */

#include "variadic.h"

EXPORTED void rtmp_exported_log(int level, const char *format, ...);
EXPORTED void rtmp_exported_print(const char *format, ...);
EXPORTED void rtmp_exported_status(const char *format, ...);

__asm__(".symver rtmp_exported_log, RTMP_Log@@");
__asm__(".symver rtmp_exported_print, RTMP_LogPrintf@@");
__asm__(".symver rtmp_exported_status, RTMP_LogStatus@@");

DEFINE(rtmp_exported_log, rtmp_exported_print, rtmp_exported_status)
