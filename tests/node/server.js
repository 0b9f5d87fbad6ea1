// Starts node-rtsp-rtmp-server on the loopback interface.
//
//   server.js MODULES RTMP-PORT HTTP-PORT FOLDER
//
// MODULES is a node_modules folder; FOLDER holds films, which the application `file` plays. What is published goes
// through the application `live`. RTMPT is spoken on the HTTP port.
'use strict';
const net = require('net');
const path = require('path');

const [modules, rtmpPort, httpPort, folder] = process.argv.slice(2);

// The package listens on all interfaces, and knows no option against that.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, host, ...rest) {
  return listen.call(this, port, '127.0.0.1', ...rest);
};

const home = path.join(modules, 'node-rtsp-rtmp-server');
Object.assign(require(path.join(home, 'config')), {
  serverPort: Number(httpPort),
  rtmpServerPort: Number(rtmpPort),
  receiverType: 'tcp',
  receiverListenHost: '127.0.0.1',
  videoControlReceiverPort: 0,
  audioControlReceiverPort: 0,
  videoDataReceiverPort: 0,
  audioDataReceiverPort: 0,
  audioRTPServerPort: 0,
  audioRTCPServerPort: 0,
  videoRTPServerPort: 0,
  videoRTCPServerPort: 0,
  rtspVideoDataUDPListenPort: 0,
  rtspVideoControlUDPListenPort: 0,
  rtspAudioDataUDPListenPort: 0,
  rtspAudioControlUDPListenPort: 0,
});

const StreamServer = require(path.join(home, 'stream_server'));
const server = new StreamServer();
server.setLivePathConsumer((uri, callback) => callback(null));
server.attachRecordedDir(folder);
server.start(() => console.log('ready'));
