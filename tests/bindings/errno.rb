# What a Ruby program sees in errno behind each call: `errno.rb DEAD-URL URL`.
require "ffi"

module Rtmp
  extend FFI::Library
  ffi_lib "librtmp.so.1"
  attach_function :RTMP_Alloc, [], :pointer
  attach_function :RTMP_Init, [:pointer], :void
  attach_function :RTMP_Free, [:pointer], :void
  attach_function :RTMP_Close, [:pointer], :void
  attach_function :RTMP_SetupURL, [:pointer, :pointer], :int
  # Other threads of Ruby run meanwhile.
  attach_function :RTMP_Connect, [:pointer, :pointer], :int, blocking: true
  attach_function :RTMP_ConnectStream, [:pointer, :int], :int, blocking: true
  attach_function :RTMP_Read, [:pointer, :pointer, :int], :int, blocking: true
  attach_function :RTMP_SendPause, [:pointer, :int, :int], :int
end

NAMES = Errno.constants.map { |name| [Errno.const_get(name)::Errno, name.to_s] }.to_h

def call(name, *arguments)
  FFI::LastError.error = 0
  result = Rtmp.public_send(name, *arguments)
  left = FFI::LastError.error
  # Some names stand for the same number.
  [result, left == 0 ? "-" : left == Errno::EAGAIN::Errno ? "EAGAIN" : NAMES[left]]
end

def show(name, *arguments)
  puts [name, *call(name, *arguments)].join(" ")
end

def session(url)
  r = Rtmp.RTMP_Alloc
  Rtmp.RTMP_Init(r)
  text = FFI::MemoryPointer.from_string(url)
  show(:RTMP_SetupURL, r, text)
  [r, text]
end

r, dead = session(ARGV[0])
show(:RTMP_Connect, r, nil)
Rtmp.RTMP_Close(r)
Rtmp.RTMP_Free(r)

r, text = session(ARGV[1])
show(:RTMP_Connect, r, nil)
show(:RTMP_ConnectStream, r, 0)
block = FFI::MemoryPointer.new(:char, 65_536)
total = 0
count = left = nil
loop do
  count, left = call(:RTMP_Read, r, block, 65_536)
  break if count <= 0
  total += count
  puts "RTMP_Read #{left}" if left != "-"
end
puts "RTMP_Read #{count} #{left} #{total}"
show(:RTMP_SendPause, r, 1, 0)
Rtmp.RTMP_Close(r)
Rtmp.RTMP_Free(r)
