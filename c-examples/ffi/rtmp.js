#!/usr/bin/env node
// Plays or publishes an RTMP stream, with koffi (npm install koffi).
//
//     rtmp.js play URL FILE
//     rtmp.js publish FILE URL
//
// The dynamic linker finds librtmp.so.1 (LD_LIBRARY_PATH). Calls that wait run in a thread of koffi (`.async`), so the event
// loop continues meanwhile; there is one call at a time, as an RTMP session requires. A file is published as fast as the
// server accepts it.
'use strict';

const fs = require('node:fs/promises');
const { promisify } = require('node:util');
const koffi = require('koffi');

const SIZE = 64 * 1024;
const LOG_CRITICAL = 0; // the program prints the reasons itself

const ENDED = 1; // RTMP_GetLastError at the end of a stream
// The exit code for each of its other values, as in ../README.md.
const EXIT_CODES = { 4: 2, 5: 2, 7: 3, 8: 3, 9: 3, 10: 3, 11: 3, 12: 4, 13: 6, 14: 5, 15: 5, 16: 8, 17: 8, 18: 8 };
const NOT_CONNECTED = 3, OUTPUT_FAILED = 7, INPUT_FAILED = 8;

const library = koffi.load('librtmp.so.1');
const logSetLevel = library.func('void RTMP_LogSetLevel(int level)');
const alloc = library.func('void *RTMP_Alloc()');
const init = library.func('void RTMP_Init(void *r)');
const setupUrl = library.func('int RTMP_SetupURL(void *r, void *url)');
const enableWrite = library.func('void RTMP_EnableWrite(void *r)');
const lastError = library.func('int RTMP_GetLastError(void *r)');
const errorString = library.func('const char *RTMP_GetErrorString(void *r)');
const free = library.func('void RTMP_Free(void *r)');
const waiting = (prototype) => promisify(library.func(prototype).async);
const connect = waiting('int RTMP_Connect(void *r, void *cp)');
const connectStream = waiting('int RTMP_ConnectStream(void *r, int seekTime)');
const read = waiting('int RTMP_Read(void *r, void *buf, int size)');
const write = waiting('int RTMP_Write(void *r, void *buf, int size)');
const close = waiting('void RTMP_Close(void *r)');

class Stream {
    // Connects, calls `use` with the stream, and closes it.
    static async with(url, publish, use) {
        const stream = new Stream(url);
        try {
            await stream.open(publish);
            await use(stream);
        } finally {
            await close(stream.handle);
            free(stream.handle);
        }
    }

    constructor(url) {
        // The library changes this text and uses it until RTMP_Close has returned: so it is memory that does not move.
        this.url = Buffer.from(`${url}\0`);
        this.handle = alloc();
        if (!this.handle)
            throw new Error('out of memory');
        init(this.handle);
    }

    async open(publish) {
        if (!setupUrl(this.handle, this.url))
            throw this.failure('the URL is invalid');
        if (publish)
            enableWrite(this.handle);
        if (!await connect(this.handle, null))
            throw this.failure('cannot connect', { 5: NOT_CONNECTED, 8: NOT_CONNECTED });
        if (!await connectStream(this.handle, 0))
            throw this.failure('the server refuses the stream');
    }

    failure(what, codes = {}) {
        const code = EXIT_CODES[lastError(this.handle)] ?? 1;
        return Object.assign(new Error(`${what} (${errorString(this.handle)})`), { exitCode: codes[code] ?? code });
    }

    // The FLV bytes of a stream that plays.
    async* bytes() {
        const buffer = Buffer.alloc(SIZE);
        let count;
        while ((count = await read(this.handle, buffer, SIZE)) > 0)
            yield buffer.subarray(0, count);
        if (lastError(this.handle) !== ENDED)
            throw this.failure('the stream broke off');
    }

    // Publishes bytes of an FLV file, cut anywhere.
    async write(bytes) {
        if (await write(this.handle, bytes, bytes.length) !== bytes.length)
            throw this.failure('the stream cannot continue');
    }
}

const jobs = {
    async play(url, name) {
        let file;
        try {
            await Stream.with(url, false, async (stream) => {
                for await (const bytes of stream.bytes()) {
                    file ??= await fs.open(name, 'w');
                    await file.writeFile(bytes);
                }
            });
        } finally {
            await file?.close();
        }
    },

    async publish(name, url) {
        const file = await fs.open(name);
        try {
            await Stream.with(url, true, async (stream) => {
                for await (const bytes of file.createReadStream({ highWaterMark: SIZE, autoClose: false }))
                    await stream.write(bytes);
            });
        } finally {
            await file.close();
        }
    },
};

const [job, from, to] = process.argv.slice(2);
if (process.argv.length !== 5 || !Object.hasOwn(jobs, job)) {
    console.error('usage: rtmp.js play URL FILE | rtmp.js publish FILE URL');
    process.exitCode = 2;
} else {
    logSetLevel(LOG_CRITICAL);
    jobs[job](from, to).catch((error) => {
        console.error(`rtmp.js: ${error.message}`);
        process.exitCode = error.exitCode ?? (job === 'play' ? OUTPUT_FAILED : INPUT_FAILED);
    });
}
