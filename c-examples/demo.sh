#!/bin/sh
# Streams through the library with the examples beside this file: starts the server, publishes a clip, records it with
# the receiver, and says what happened. `make demo` runs this.
#
#   demo.sh PROGRAMS OUTPUT     the folder of the built programs, and the file to leave
set -eu

programs=$1
output=$2
work=$(mktemp -d)
server= publisher=

finish() {
    for child in $publisher $server; do kill "$child" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

if command -v ffmpeg >/dev/null 2>&1; then
    echo "== a clip of 6 seconds, H.264 and AAC, made with ffmpeg"
    ffmpeg -nostdin -loglevel error -f lavfi -i testsrc=size=320x240:rate=25 -f lavfi -i sine=frequency=440 \
        -t 6 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -c:a aac -f flv "$work/clip.flv"
else
    echo "== a clip of 6 seconds, Screen video and PCM, made with make_flv (there is no ffmpeg)"
    "$programs/make_flv" -t 6 "$work/clip.flv"
fi

: >"$work/server.txt"
"$programs/server" -p 0 -v 2 >"$work/server.txt" 2>&1 &
server=$!
tries=100
until url=$(sed -n 's/.*listening on \(rtmp:[^ ]*\).*/\1/p' "$work/server.txt") && [ -n "$url" ]; do
    kill -0 "$server" 2>/dev/null && [ $tries -gt 0 ] || { cat "$work/server.txt"; exit 1; }
    tries=$((tries - 1))
    sleep 0.1
done
echo "== the server listens on $url"

"$programs/publish" "$work/clip.flv" "$url/live/demo" >"$work/publish.txt" 2>&1 &
publisher=$!
echo "== publishing to $url/live/demo, and receiving it into $output"
# A player may come before the publisher: the server lets it wait.
"$programs/receive" --live -t 10 -o "$output" "$url/live/demo" || { cat "$work"/*.txt; exit 1; }
wait "$publisher" || { cat "$work/publish.txt"; exit 1; }
publisher=

echo "== received $(wc -c <"$output") bytes; $(wc -c <"$work/clip.flv") were published"
if command -v ffprobe >/dev/null 2>&1; then
    ffprobe -loglevel error -show_entries stream=codec_name,codec_type,width,height,sample_rate -of compact "$output"
fi
echo "== $output is a playable FLV file, for example: ffplay $output"
