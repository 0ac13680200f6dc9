// @sigstore/tuf as a TUF client, one update a line.
//
// Reads `{"mirror":URL,"root":FILE,"cache":DIR,"targets":[NAME]}` lines and answers each with
// `{"ok":true}` or `{"ok":false,"error":"…"}`.
'use strict';
const readline = require('node:readline');
const { initTUF } = require('@sigstore/tuf');

async function update({ mirror, root, cache, targets }) {
  const tuf = await initTUF({ mirrorURL: mirror, rootPath: root, cachePath: cache, retry: false, timeout: 5000 });
  for (const target of targets) await tuf.getTarget(target);
}

function chain(error) {
  return error ? `${error.name}: ${error.message} ${chain(error.cause)}` : '';
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer = { ok: true };
    try {
      await update(JSON.parse(line));
    } catch (error) {
      answer = { ok: false, error: chain(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

main();
