// Verifies bundles with the released @sigstore/verify and the trust root of a TUF repository, which
// @sigstore/tuf fetches and caches.
//
// usage: node verify-tuf.cjs MIRROR ROOT ISSUER IDENTITY (BUNDLE FILE)...
'use strict';
const fs = require('node:fs');
const { bundleFromJSON } = require('@sigstore/bundle');
const { getTrustedRoot } = require('@sigstore/tuf');
const { Verifier, toSignedEntity, toTrustMaterial } = require('@sigstore/verify');

async function main([mirrorURL, rootPath, issuer, identity, ...files]) {
  const verifier = new Verifier(toTrustMaterial(await getTrustedRoot({ mirrorURL, rootPath })));
  const exact = identity.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  while (files.length > 0) {
    const [bundle, file] = files.splice(0, 2);
    const entity = toSignedEntity(bundleFromJSON(JSON.parse(fs.readFileSync(bundle, 'utf8'))), fs.readFileSync(file));
    try {
      verifier.verify(entity, { subjectAlternativeName: `^${exact}$`, extensions: { issuer } });
    } catch (error) {
      throw new Error(bundle, { cause: error });
    }
    console.log('verified', bundle);
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
