"""Conan recipe: `conan create packaging/conan` in a checkout or an unpacked tarball. It needs cargo and make."""

import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.files import copy


class LibrtmpConan(ConanFile):
    name = "librtmp-rs"
    version = "0.1.0"
    package_type = "library"
    license = "MIT OR Apache-2.0"
    description = "RTMP client and server library in Rust with the ABI of librtmp 2.4"
    topics = ("rtmp", "librtmp", "flv", "streaming")
    settings = "os", "arch"
    options = {"shared": [True, False]}
    default_options = {"shared": True}

    def validate(self):
        if self.settings.os not in ("Linux", "FreeBSD"):
            raise ConanInvalidConfiguration("this recipe runs `make install`, which knows ELF systems only")

    def export_sources(self):
        root = os.path.join(self.recipe_folder, "..", "..")
        patterns = (
            "Cargo.*", "Makefile", "build.rs", "librtmp.pc.in", "cbindgen.toml", "LICENSE-*", "NOTICE", "README.md", ".cargo/*",
            "vendor/*", "src/*", "rtmp/*", "include/*", "man/*", "benches/*", "tests/*",
            "packaging/cmake/*",
        )
        for pattern in patterns:
            copy(self, pattern, root, self.export_sources_folder, excludes=("target/*", "rtmp/target/*"))

    def _make(self, target):
        self.run(f"make {target} prefix='{self.package_folder}'", cwd=self.source_folder)

    def build(self):
        self._make("build")

    def package(self):
        self._make("install")
        copy(self, "LICENSE-*", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "NOTICE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        unwanted = "librtmp.a" if self.options.shared else "librtmp.so*"
        libraries = os.path.join(self.package_folder, "lib")
        for name in os.listdir(libraries):
            if name.startswith(unwanted.rstrip("*")) and (unwanted.endswith("*") or name == unwanted):
                os.remove(os.path.join(libraries, name))

    def package_info(self):
        self.cpp_info.libs = ["rtmp"]
        self.cpp_info.set_property("cmake_file_name", "librtmp")
        self.cpp_info.set_property("cmake_target_name", "librtmp::rtmp")
        self.cpp_info.set_property("pkg_config_name", "librtmp")
        if not self.options.shared:
            self.cpp_info.system_libs = ["pthread", "m", "dl", "util", "rt"]
