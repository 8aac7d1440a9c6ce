// Loaded into the Node.js process of the jsii kernel by `_lazy_providers.py`. The provider packages contain
// `lib/lazy-index.js`, which has the same exports as `lib/index.js` but loads each one on first access.
"use strict";

const Module = require("node:module");
const fs = require("node:fs");

const PROVIDER_INDEX = /([\\/]@cdktf[\\/]provider-[a-z-]+[\\/]lib[\\/])index\.js$/;
const resolveFilename = Module._resolveFilename;

Module._resolveFilename = function (...args) {
  const resolved = resolveFilename.apply(this, args);
  const lazy = resolved.replace(PROVIDER_INDEX, "$1lazy-index.js");
  return lazy !== resolved && fs.existsSync(lazy) ? lazy : resolved;
};
