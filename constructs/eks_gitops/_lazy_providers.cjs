// Loaded into the Node.js process of the jsii kernel by `_lazy_providers.py`. The provider packages contain
// `lib/lazy-index.js`, which has the same exports as `lib/index.js` but loads each one on first access.
"use strict";

const Module = require("node:module");
const fs = require("node:fs");

// CDKTF calls a deprecated function of Node, and newer versions of Node would say so at every synth.
process.noDeprecation = true;

// The kernel runs for about a second: code is optimized later than by default, or optimizing costs more than it saves.
// V8 has renamed the option, and prints an error for one that it does not know.
const LATE_OPTIMIZATION = {
  20: "--interrupt-budget=400000",
  22: "--invocation-count-for-turbofan=30000",
  24: "--invocation-count-for-turbofan=30000",
}[process.versions.node.split(".")[0]];
if (LATE_OPTIMIZATION) require("node:v8").setFlagsFromString(LATE_OPTIMIZATION);

// A worker of jsii writes an index of each package into its cache, which makes every later start faster. A kernel that runs
// for a second would end before the index is there, each time: it waits for the workers.
const threads = require("node:worker_threads");
const exit = process.exit;
const working = new Set();

class AwaitedWorker extends threads.Worker {
  constructor(...args) {
    super(...args);
    working.add(this);
    this.on("exit", () => working.delete(this));
  }
}

threads.Worker = AwaitedWorker;
process.exit = function (code) {
  if (working.size === 0) exit(code);
  for (const worker of working) worker.on("exit", () => process.exit(code));
};

// Every token records where it was created, with an unlimited stack trace. The errors of CDKTF that show it name lines of
// its own compiled files.
const STACK_TRACE = /[\\/]cdkt[fn][\\/]lib[\\/]tokens[\\/]private[\\/]stack-trace\.js$/;
const NO_STACK_TRACE = require("node:path").join(__dirname, "_no_stack_trace.cjs");
const PROVIDER_INDEX = /([\\/]@cdkt[fn][\\/]provider-[a-z-]+[\\/]lib[\\/])index\.js$/;
const resolveFilename = Module._resolveFilename;

Module._resolveFilename = function (...args) {
  const resolved = resolveFilename.apply(this, args);
  if (STACK_TRACE.test(resolved)) return NO_STACK_TRACE;
  const lazy = resolved.replace(PROVIDER_INDEX, "$1lazy-index.js");
  return lazy !== resolved && fs.existsSync(lazy) ? lazy : resolved;
};
