#!/usr/bin/env node
// Saves an RTMP stream as an FLV file, with koffi (npm install koffi).
//
//     receive.js URL FILE
//
// librtmp is the one that the dynamic linker finds (LD_LIBRARY_PATH). Calls that wait run in a thread of koffi's own
// (`.async`), so that the event loop goes on meanwhile; one call at a time, as an RTMP object wants it.
'use strict';

const fs = require('node:fs/promises');
const { promisify } = require('node:util');
const koffi = require('koffi');

const SIZE = 64 * 1024;
const LOG_CRITICAL = 0; // the program prints the reasons itself

const ENDED = 1; // what RTMP_GetLastError returns at the end of a stream
// The exit code for each of its other values, as in ../README.md.
const EXIT_CODES = { 4: 2, 5: 2, 7: 3, 8: 3, 9: 3, 10: 3, 11: 3, 12: 4, 13: 6, 14: 5, 15: 5, 16: 8, 17: 8 };
const NOT_CONNECTED = 3, FILE_FAILED = 7;

const library = koffi.load('librtmp.so.1');
const logSetLevel = library.func('void RTMP_LogSetLevel(int level)');
const alloc = library.func('void *RTMP_Alloc()');
const init = library.func('void RTMP_Init(void *r)');
const setupUrl = library.func('int RTMP_SetupURL(void *r, void *url)');
const lastError = library.func('int RTMP_GetLastError(void *r)');
const errorString = library.func('const char *RTMP_GetErrorString(void *r)');
const free = library.func('void RTMP_Free(void *r)');
const waiting = (prototype) => promisify(library.func(prototype).async);
const connect = waiting('int RTMP_Connect(void *r, void *cp)');
const connectStream = waiting('int RTMP_ConnectStream(void *r, int seekTime)');
const read = waiting('int RTMP_Read(void *r, void *buf, int size)');
const close = waiting('void RTMP_Close(void *r)');

// A stream that plays, as FLV bytes.
async function* stream(url) {
    // Written to and used until RTMP_Close has returned: memory that stays where it is, and a reference to it.
    const text = Buffer.from(`${url}\0`);
    const buffer = Buffer.alloc(SIZE);
    const handle = alloc();
    if (!handle)
        throw new Error('out of memory');
    init(handle);
    const failure = (what, codes = {}) => {
        const code = EXIT_CODES[lastError(handle)] ?? 1;
        return Object.assign(new Error(`${what} (${errorString(handle)})`), { exitCode: codes[code] ?? code });
    };
    try {
        if (!setupUrl(handle, text))
            throw failure('the URL is wrong');
        if (!await connect(handle, null))
            throw failure('cannot connect', { 5: NOT_CONNECTED, 8: NOT_CONNECTED });
        if (!await connectStream(handle, 0))
            throw failure('the stream does not play');
        let count;
        while ((count = await read(handle, buffer, SIZE)) > 0)
            yield buffer.subarray(0, count);
        if (lastError(handle) !== ENDED)
            throw failure('the stream broke off');
    } finally {
        await close(handle);
        free(handle);
        text.fill(0);
    }
}

async function main(url, name) {
    logSetLevel(LOG_CRITICAL);
    let file;
    try {
        for await (const bytes of stream(url)) {
            file ??= await fs.open(name, 'w');
            await file.writeFile(bytes);
        }
    } finally {
        await file?.close();
    }
}

if (process.argv.length !== 4) {
    console.error('usage: receive.js URL FILE');
    process.exitCode = 2;
} else {
    main(process.argv[2], process.argv[3]).catch((error) => {
        console.error(`receive.js: ${error.message}`);
        process.exitCode = error.exitCode ?? FILE_FAILED;
    });
}
