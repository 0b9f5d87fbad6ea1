// node-media-server 4, which relays Enhanced RTMP: node media_server.js MODULES PORT
const NodeMediaServer = require(process.argv[2] + '/node-media-server');
const settings = { bind: '127.0.0.1', rtmp: { port: Number(process.argv[3]) }, auth: { play: false, publish: false } };
new NodeMediaServer(settings).run();
