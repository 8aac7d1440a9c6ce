// Takes the place of CDKTF's `lib/tokens/private/stack-trace.js` in the jsii kernel; see `_lazy_providers.cjs`.
"use strict";

exports.captureStackTrace = () => [];
exports.captureCreationStack = () => []; // in CDK Terrain
