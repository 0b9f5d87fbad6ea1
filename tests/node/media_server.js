// Starts node-media-server on the loopback interface; it relays what is published, in any application.
//
//   media_server.js MODULES RTMP-PORT
'use strict';
const net = require('net');
const path = require('path');

const [modules, port] = process.argv.slice(2);

// The package listens on all interfaces, and knows no option against that.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, '127.0.0.1', ...rest);
};

const NodeMediaServer = require(path.join(modules, 'node-media-server'));
const rtmp = { port: Number(port), chunk_size: 4096, gop_cache: true, ping: 30, ping_timeout: 60 };
new NodeMediaServer({ logType: 3, rtmp }).run();
