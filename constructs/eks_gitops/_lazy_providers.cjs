// Loaded into the jsii kernel's Node by `_lazy_providers.py`: the provider packages ship `lib/lazy-index.js` with the
// same exports as `lib/index.js`, each loaded when it is first read instead of all at once.
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
