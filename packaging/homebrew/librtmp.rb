# A formula for a tap. There is no public address of the tarball that `make dist` makes yet: put one in the place of `url`.
class Librtmp < Formula
  desc "RTMP client and server library with the ABI of librtmp 2.4"
  homepage "https://www.example.com/"
  url "file:///usr/local/src/librtmp-0.1.0.tar.xz"
  version "0.1.0"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  conflicts_with "rtmpdump", because: "both install librtmp"

  def install
    system "make", "CARGO=cargo --offline --locked", "prefix=#{prefix}", "install"
  end

  test do
    (testpath/"test.c").write <<~C
      #include <librtmp/rtmp.h>
      int main(void) { return RTMP_LibVersion() != RTMP_LIB_VERSION; }
    C
    system ENV.cc, "test.c", "-I#{include}", "-L#{lib}", "-lrtmp", "-o", "test"
    system "./test"
  end
end
